// Where things are, for every script.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root folder of the repository. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Where the scripts keep what can be made again; untracked, and gone with node_modules. */
export const cacheFolder = join(root, 'node_modules', '.cache', 'sluice')

/** Makes an absolute path of one relative to the root. */
export function inRoot(path) {
  return join(root, path)
}
