// Builds again and fails when a generated file that is committed differs from what the sources give.
import { spawnSync } from 'node:child_process'
import { root } from './paths.mjs'
import { capture, npm } from './run.mjs'

const GENERATED = ['binding.cjs', 'binding.d.cts', 'index.mjs', 'index.d.ts', 'index.d.mts', 'Cargo.lock']

function git(...args) {
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' })
}

if (git('rev-parse', '--verify', '--quiet', 'HEAD').status !== 0) {
  console.log('not a git checkout with commits: nothing to compare with')
} else {
  capture(npm('run', 'build'))
  capture(['git', 'ls-files', '--error-unmatch', ...GENERATED])
  const { status, stdout } = git('diff', '--exit-code', '--stat', '--', ...GENERATED)
  if (status !== 0) console.log(`not current; commit what \`npm run build\` wrote:\n${stdout}`)
  process.exitCode = status
}
