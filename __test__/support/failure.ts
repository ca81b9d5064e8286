import { SluiceError } from '../../index.js'

/** Returns the error that a call was rejected with. A call that resolves, or is rejected with something else, fails the test. */
export async function failureOf(call: Promise<unknown>): Promise<SluiceError> {
  try {
    await call
  } catch (error) {
    if (error instanceof SluiceError) return error
    throw error
  }
  throw new Error('the call was expected to be rejected, but it resolved')
}

/** Returns the code that a call was rejected with. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return (await failureOf(call)).code
}

/** Returns `'done'`, or the code of the error. */
export function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'done',
    (error: unknown) => {
      if (error instanceof SluiceError) return error.code
      throw error
    },
  )
}
