// Starts the inspector of the installed package, for import and for require, and reads its page.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { open } from 'sluice'
import { startInspector } from 'sluice/inspector'

const { startInspector: required } = createRequire(import.meta.url)('sluice/inspector')

const db = await open(process.argv[2])
for (const start of [startInspector, required]) {
  const inspector = await start(db)
  const response = await fetch(inspector.url)
  assert.match(await response.text(), /<title>Sluice inspector<\/title>/)
  await inspector.close()
}
await db.close()
