// What is kept of a run while it is under way, so that it can go on after it was interrupted.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inRoot, root } from '../scripts/paths.mjs'

/** Returns a digest of the program that is measured. */
function digestOfBuild() {
  const hash = createHash('sha256')
  const addons = readdirSync(root).filter((name) => name.endsWith('.node'))
  const scripts = readdirSync(inRoot('dist'), { recursive: true }).filter((name) => /\.[cm]?js$/.test(name))
  for (const name of [...addons, ...scripts.map((script) => join('dist', script))].sort()) hash.update(readFileSync(inRoot(name)))
  return hash.digest('hex')
}

/** The finished units of one command on one version of Node. */
export class Parts {
  #folder
  #key

  /**
   * @param {object} wanted - what was asked for; what was kept of another command does not count
   * @param {string} [results] - the folder of the results
   */
  constructor(node, wanted, results = inRoot('benches/results')) {
    const { profile, plan, peers, resume } = wanted
    this.#folder = join(results, 'parts', `node-${node.version}-${profile}${plan.quick ? '-quick' : ''}`)
    const versions = peers.map(({ name, version }) => [name, version])
    this.#key = JSON.stringify({ profile, plan, versions, build: digestOfBuild(), floor: wanted.floor !== null })
    if (!resume) this.remove()
    mkdirSync(this.#folder, { recursive: true })
  }

  /** Returns the results of a unit that is finished, or `null`. */
  read({ id, kind }) {
    try {
      const { key, results } = JSON.parse(readFileSync(this.#path(id, kind), 'utf8'))
      return key === this.#key ? results : null
    } catch {
      return null
    }
  }

  /** Keeps the results of a unit. */
  write({ id, kind }, results) {
    writeFileSync(this.#path(id, kind), JSON.stringify({ key: this.#key, results }))
  }

  /** Removes all of them. */
  remove() {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #path(id, kind) {
    return join(this.#folder, `${id}-${kind}.json`)
  }
}
