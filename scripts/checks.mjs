// A list of named checks, run one after the other and counted; the last line says how many passed.

/** Runs every check, prints a line for each, then `N passed, N failed`; sets the exit code. */
export async function runChecks(checks) {
  const failed = []
  for (const [name, check] of checks) {
    const started = performance.now()
    const error = await outcomeOf(check)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    console.log(`${error ? 'FAILED' : 'ok'} ${name} (${seconds} s)`)
    if (error) {
      failed.push(name)
      console.log(error.stack ?? String(error))
    }
  }
  console.log(summaryLine({ passed: checks.length - failed.length, failed: failed.length }))
  process.exitCode = failed.length === 0 ? 0 : 1
}

/** Writes the counts as every runner here ends its output. */
export function summaryLine({ passed, failed }) {
  return `${passed} passed, ${failed} failed`
}

async function outcomeOf(check) {
  try {
    await check()
    return undefined
  } catch (error) {
    return error
  }
}
