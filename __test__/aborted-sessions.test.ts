import { expect, it } from 'vitest'

import type { Database } from '../index.js'
import { within } from './support/deadline.js'
import { failureOf } from './support/failure.js'
import { openWithTable } from './support/scratch.js'
import { ENDLESS_READ, ENDLESS_WRITE } from './support/slow-sql.js'

const reason = new Error('the reason')

const SESSIONS: { readonly [name: string]: (db: Database, signal: AbortSignal) => Promise<unknown> } = {
  read: (db, signal) => db.read((r) => r.all(ENDLESS_READ), { signal }),
  transaction: (db, signal) => db.transaction((tx) => tx.run(ENDLESS_WRITE), { signal }),
  writeMode: (db, signal) => db.writeMode((w) => w.run(ENDLESS_WRITE), { signal }),
  begin: (db, signal) => db.begin({ signal }).then((tx) => tx.run(ENDLESS_WRITE)),
}

// The abort is lost when it comes after the core has answered the beginning and before this thread has taken the answer.
it.each(Object.entries(SESSIONS))('%s: an abort at any moment ends the session', async (_name, session) => {
  for (let round = 0; round < 60; round++) {
    const db = await openWithTable()
    const stop = new AbortController()
    const failure = failureOf(session(db, stop.signal))
    // Not one turn of the loop: the answer is there, and has not been taken.
    const until = performance.now() + (round % 20) / 10
    while (performance.now() < until);
    stop.abort(reason)
    expect((await within(failure, `round ${round}`, 3_000)).code).toBe('ABORT_ERR')
    await db.close()
  }
})

it('a call in a transaction from begin that was aborted says why', async () => {
  const db = await openWithTable()
  const stop = new AbortController()
  const tx = await db.begin({ signal: stop.signal })
  const running = failureOf(tx.run(ENDLESS_WRITE))
  stop.abort(reason)
  expect((await within(running, 'the write')).cause).toBe(reason)
})
