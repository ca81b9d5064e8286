// What was to be reached, and what was.
import { SUBJECT, isAddon } from './peer.mjs'
import { numberText, ratioOf, spreadText, unitText } from './numbers.mjs'

/**
 * One target beside what was measured.
 *
 * @typedef {object} Verdict
 * @property {string} id
 * @property {string} title
 * @property {string} target
 * @property {string | null} measured - `null` where there is no figure
 * @property {boolean | null} met
 * @property {object | null} coreShare - which part of the time the core of the driver takes by itself
 * @property {{ name: string, text: string }[]} floors - what the floors reach
 * @property {{ p99Ms: number, maxMs: number } | null} loopDelay - of the event loop, for what is compared call by call
 */

/** Who is compared in what is measured many times over, for which the only target is to be ahead. */
const COUNTED = 'W19'

/**
 * Holds what was measured on one Node against the targets.
 *
 * @returns {Verdict[]}
 */
export function verdictsOf({ cases, scenarios }) {
  const single = cases.filter(({ id, target }) => target !== null && id !== COUNTED).map(caseVerdict)
  return [...single, ...scenarios.flatMap(scenarioVerdicts)].sort((a, b) => a.id.slice(1) - b.id.slice(1))
}

/** Counts in how many cases of others' benchmarks the subject is ahead. */
export function aheadOf({ cases }) {
  const ratios = cases.filter(({ id }) => id === COUNTED).map((one) => subjectOf(one)?.ratio?.median)
  return { cases: ratios.length, ahead: ratios.filter((ratio) => ratio <= 1).length }
}

function subjectOf({ figures }) {
  return figures.find(({ name }) => name === SUBJECT)
}

function caseVerdict({ id, title, target, baseline, figures }) {
  const subject = subjectOf({ figures })
  const ratio = subject?.ratio ?? null
  const floors = figures.filter(({ name, ratio }) => name.startsWith('floor: ') && ratio !== null)
  return {
    id,
    title,
    target: `<= ${target} x ${baseline}`,
    measured: ratio === null ? null : ratioOf(ratio),
    met: ratio === null ? null : ratio.median <= target,
    coreShare: subject?.coreShare ?? null,
    floors: floors.map(({ name, ratio }) => ({ name, text: ratioOf(ratio) })),
    loopDelay: subject?.loopDelay ?? null,
  }
}

function scenarioVerdicts({ id, title, figures = [] }) {
  return figures
    .filter(({ target, least }) => target !== null || least)
    .map((figure) => {
      const own = figure.peers[SUBJECT] ?? null
      const text = targetText(figure)
      const measured = own === null ? null : `${spreadText(own)}${unitText(figure.unit)}`
      const met = own === null ? null : isMet(figure, own.median)
      return { id, title: `${title}: ${figure.title}`, target: text, measured, met, coreShare: null, floors: [], loopDelay: null }
    })
}

function addonsBeside(peers) {
  return Object.entries(peers).filter(([name, numbers]) => name !== SUBJECT && isAddon(name) && numbers !== null)
}

/** Shows the target of a figure. */
export function targetText({ target, least, peers, unit }) {
  if (!least) return target ?? ''
  const others = addonsBeside(peers).map(([name, { median }]) => ({ name, median }))
  if (others.length === 0) return 'least of the addons'
  const { name, median } = others.reduce((best, one) => (one.median < best.median ? one : best))
  return `least of the addons; the least beside is ${numberText(median)}${unitText(unit)} (${name})`
}

/** Whether a number is what it should be. */
export function isMet({ target, least, peers }, number) {
  if (least) return addonsBeside(peers).every(([, { median }]) => number <= median)
  const [sign, limit] = target.split(' ')
  return sign === '<=' ? number <= Number(limit) : sign === '>=' ? number >= Number(limit) : number === Number(target)
}
