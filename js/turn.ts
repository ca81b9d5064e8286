/** Has a function run in the next turn of the event loop. Not a fake one that a test framework puts in place later: it would wait for the test. */
export const nextTurn: typeof setImmediate = setImmediate
