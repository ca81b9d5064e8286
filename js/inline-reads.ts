/** Whether reads that have proved short run on the JavaScript thread, or everything on threads of the driver. */
export type InlineReads = 'auto' | 'off'

/** What the choice is when it is left out. */
export const INLINE_READS: { initial: InlineReads } = { initial: 'auto' }

/** After how many short runs on workers, in a row, a statement may run inline. */
export const INLINE_AFTER: { [choice in InlineReads]: number | undefined } = { auto: 4, off: undefined }
