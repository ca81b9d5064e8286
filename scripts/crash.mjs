// Kills processes under load and looks at what they leave: `npm run test:crash -- --cycles 10000`.
import { parseArgs } from 'node:util'
import { spawnSync } from 'node:child_process'
import { root } from './paths.mjs'

const { values } = parseArgs({ options: { cycles: { type: 'string', default: '1000' }, seed: { type: 'string' } } })
if (!/^[1-9]\d*$/.test(values.cycles)) throw new Error('--cycles takes a number of at least 1')
if (values.seed !== undefined && !/^\d+$/.test(values.seed)) throw new Error('--seed takes a number')

const env = { ...process.env, SLUICE_CRASH_CYCLES: values.cycles, ...(values.seed === undefined ? {} : { SLUICE_SEED: values.seed }) }
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '__test__/crash', '--reporter=verbose']
const { status } = spawnSync(process.execPath, vitest, { cwd: root, env, stdio: 'inherit' })
process.exitCode = status ?? 1
