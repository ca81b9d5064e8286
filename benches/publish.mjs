// Writes what was measured to files, as figures, as a page and as plots, and prints the page.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inRoot } from '../scripts/paths.mjs'
import { plotsOf } from './plots.mjs'
import { markdownOf } from './report.mjs'
import { environment } from './versions.mjs'

/** How many figures of a number are kept. */
const FIGURES = 5
/** Where the pages are that are complete. */
const DOCUMENTS = 'docs/benchmarks'

/**
 * Writes what was measured on one Node: where it is complete, into the documents.
 *
 * @param {object} wanted - the command, the settings and the plan, and what was named in it
 * @param {object} run - what was measured
 */
export async function publish(wanted, run) {
  const { profile, plan, named, isComplete } = wanted
  const major = run.node.split('.')[0]
  const kind = profile === 'equal' ? '' : `-${profile}`
  const words = [today(), plan.quick ? 'quick' : 'full', profile, `node${major}`, ...named]
  const place = isComplete ? [DOCUMENTS, `node-${major}${kind}`] : ['benches/results', words.join('-')]
  console.log(await writeAll({ ...described(wanted), ...run }, ...place))
}

/** Writes the pages among the documents anew from their figures: causes may be found later. */
export async function publishAgain() {
  const names = readdirSync(inRoot(DOCUMENTS)).filter((name) => name.endsWith('.json'))
  for (const name of names.map((file) => file.slice(0, -'.json'.length))) {
    const figures = JSON.parse(readFileSync(join(inRoot(DOCUMENTS), `${name}.json`), 'utf8'))
    writePage(figures, await plotsOf(figures), DOCUMENTS, name)
    console.log(`${DOCUMENTS}/${name}.md`)
  }
}

/** Writes several runs to one page, among the results that are not kept. */
export function publishAll(wanted, runs) {
  const folder = inRoot('benches/results')
  mkdirSync(folder, { recursive: true })
  const name = [today(), wanted.profile, ...wanted.named].join('-')
  const results = runs.map((run) => ({ ...described(wanted), ...run }))
  writeFileSync(join(folder, `${name}.json`), jsonOf(results))
  const page = results.map((result) => markdownOf(result)).join('\n')
  writeFileSync(join(folder, `${name}.md`), page)
  console.log(page)
}

function described({ command, profile, plan }) {
  return { command, date: today(), profile, plan, environment: environment() }
}

function today() {
  return new Date().toISOString().slice(0, 10)
}

/** Writes the figures, the plots and the page under one name, and returns the page. */
async function writeAll(result, place, name) {
  const folder = inRoot(place)
  const plotFolder = join(folder, name)
  rmSync(plotFolder, { recursive: true, force: true })
  mkdirSync(plotFolder, { recursive: true })
  const text = jsonOf(result)
  writeFileSync(join(folder, `${name}.json`), text)
  // From what is kept, so that they come out the same when they are written anew.
  const figures = JSON.parse(text)
  const plots = await plotsOf(figures)
  for (const plot of plots) writeFileSync(join(plotFolder, `${plot.name}.svg`), plot.svg)
  return writePage(figures, plots, place, name)
}

function writePage(figures, plots, place, name) {
  const linked = plots.map(({ name: plot, title }) => ({ title, path: `${name}/${plot}.svg` }))
  const causes = JSON.parse(readFileSync(new URL('causes.json', import.meta.url), 'utf8'))
  const page = markdownOf(figures, linked, causes)
  writeFileSync(join(inRoot(place), `${name}.md`), page)
  return page
}

function jsonOf(value) {
  return `${JSON.stringify(value, (_, one) => publicOf(one), 1)}\n`
}

function publicOf(one) {
  // Of a failure the words, and not the stack: it names folders of the machine.
  if (typeof one === 'string') return one.replace(/\n +at .*/s, '')
  return typeof one === 'number' && !Number.isInteger(one) ? Number(one.toPrecision(FIGURES)) : one
}
