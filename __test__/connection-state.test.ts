import { expect, it } from 'vitest'

import { codeOf } from './support/failure.js'
import { openWithTable } from './support/scratch.js'

it('V18: refuses changes() on a private handle outside its transaction', async () => {
  const db = await openWithTable()
  const own = db.handle()
  await db.run('INSERT INTO t VALUES (1), (2)')
  // Answers [[2, 2, ...]]: of another handle's statement.
  expect(await codeOf(own.values('SELECT changes(), last_insert_rowid()'))).toBe('ERR_SLUICE_CONNECTION_STATE')
  await own.close()
})
