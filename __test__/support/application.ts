import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** What the adapters are used with. */
const PEERS = ['@prisma/client', '@prisma/driver-adapter-utils', 'better-auth', 'db0', 'drizzle-kit', 'kysely']

/**
 * Installs the package, and what its adapters are used with, in the folder of an application.
 *
 * @param drizzle - the name under which the line of drizzle-orm is installed here that the application has
 */
export function installPackages(folder: string, drizzle: 'drizzle-orm' | 'drizzle-orm-v1'): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(modules)
  for (const peer of PEERS) link(peer, join(modules, peer))
  link(drizzle, join(modules, 'drizzle-orm'))
  // What is linked finds its peers where it lies: the other line needs a copy beside its own.
  if (drizzle === 'drizzle-orm') link('..', join(modules, 'sluice'))
  else copyPackage(join(modules, 'sluice'))
}

function link(installed: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(resolve('node_modules', installed), path, 'junction')
}

/** Copies what is published, and the binary for this platform. */
function copyPackage(folder: string): void {
  const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] }
  const binaries = readdirSync('.').filter((name) => name.endsWith('.node'))
  for (const path of ['package.json', ...files, ...binaries]) cpSync(path, join(folder, path), { recursive: true })
}
