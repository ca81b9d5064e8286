// Installs the peers into benches/node_modules when a benchmark first needs them, and compiles those that come as source.
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { capture, npm } from '../scripts/run.mjs'
import { loadPeer } from './peer.mjs'
import { Session } from './session.mjs'

const folder = dirname(fileURLToPath(import.meta.url))
const modules = join(folder, 'node_modules')

/** Installs all packages. Their install scripts do not run: they fetch binaries from elsewhere. */
export function installPackages() {
  const lock = join(folder, 'package-lock.json')
  const installed = join(modules, '.package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  capture(npm('ci', '--ignore-scripts', '--no-audit', '--no-fund'), { cwd: folder })
}

/**
 * Makes a peer ready to run on a Node binary, compiling it if it does not open the database at `path`.
 *
 * @returns {Promise<{ reason: string | null, packageName: string | null }>} why it cannot run, if it cannot
 */
export async function readyPeer(name, node, path, settings) {
  const { leastNode } = await loadPeer(name)
  if (node.major < leastNode) return { reason: `needs Node ${leastNode}`, packageName: null }
  const packageName = await packageOn(name, node)
  const attempt = () => tryPeer(name, node, { path, settings })
  const reason = await attempt()
  if (reason === null || packageName === null || !existsSync(join(modules, packageName, 'binding.gyp'))) return { reason, packageName }
  try {
    compile(packageName, node)
  } catch (error) {
    return { reason: `could not be compiled: ${lastLine(error.message)}`, packageName }
  }
  return { reason: await attempt(), packageName }
}

/** Asks a process of that Node which package the peer has there: it may depend on the version. */
async function packageOn(name, node) {
  const session = new Session(name, node.binary)
  try {
    return (await session.ask('load', { name })).packageName
  } finally {
    session.end()
  }
}

/** Returns what fails when the peer opens a database, if anything does. */
async function tryPeer(name, node, request) {
  const session = new Session(name, node.binary)
  try {
    await session.ask('load', { name })
    await session.ask('open', request)
    return null
  } catch (error) {
    return firstLine(error.message)
  } finally {
    session.end()
  }
}

/** Compiles for the headers that come with the Node binary; without any, node-gyp fetches them. */
function compile(packageName, node) {
  const nodeFolder = dirname(dirname(node.binary))
  const headers = existsSync(join(nodeFolder, 'include', 'node', 'node.h')) ? [`--nodedir=${nodeFolder}`] : []
  const gyp = join(modules, 'node-gyp', 'bin', 'node-gyp.js')
  capture([node.binary, gyp, 'rebuild', '--release', ...headers], { cwd: join(modules, packageName) })
}

function firstLine(text) {
  return text.trim().split('\n')[0]
}

function lastLine(text) {
  return text.trim().split('\n').at(-1)
}
