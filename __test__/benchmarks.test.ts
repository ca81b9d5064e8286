import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

// That the benchmarks can be asked for, run and reported. How fast anything is, is no matter of a test; and no peer is installed for it.

interface Spread {
  readonly median: number
  readonly least: number
  readonly greatest: number
}
interface Plan {
  readonly quick: boolean
  readonly rounds: number
  readonly scenarioRounds: number
}
interface Wanted {
  readonly command: string
  readonly plan: Plan
  readonly ids: readonly string[]
  readonly memory: boolean
  readonly peers: readonly string[]
  readonly nodes: readonly string[]
  readonly isComplete: boolean
}
interface CaseResult {
  readonly id: string
  readonly title: string
  readonly figures: readonly { readonly name: string; readonly microseconds: Spread }[]
  readonly failures: Readonly<Record<string, string>>
}
interface Unit {
  readonly id: string
  readonly kind: string
}
interface Verdict {
  readonly id: string
  readonly title: string
  readonly met: boolean | null
}
interface Chart {
  readonly name: string
  readonly option: { readonly title: { readonly subtext: string } }
}

/** The benchmarks are plain JavaScript. */
async function load<Module>(name: string): Promise<Module> {
  return (await import(pathToFileURL(`benches/${name}.mjs`).href)) as Module
}

const { readCommandLine } = await load<{ readCommandLine: (args: readonly string[]) => Wanted }>('command-line')
const { markdownOf } = await load<{ markdownOf: (result: object, plots?: object[], causes?: object) => string }>('report')
const { verdictsOf } = await load<{ verdictsOf: (result: object) => Verdict[] }>('targets')
const { chartsOf } = await load<{ chartsOf: (result: object) => Chart[] }>('charts')
const { unitsOf, secondsOf, measureUnit } = await load<{
  unitsOf: (wanted: object) => Unit[]
  secondsOf: (unit: Unit, wanted: object) => number
  measureUnit: (unit: Unit, node: object, wanted: object) => Promise<CaseResult[]>
}>('units')
const { Files } = await load<{ Files: new () => { remove(): void } }>('files')
const { Parts } = await load<{
  Parts: new (node: object, wanted: object, folder: string) => { read(unit: Unit): unknown; write(unit: Unit, results: unknown): void }
}>('parts')
const { settingsFor } = await load<{ settingsFor: (profile: string) => object }>('settings')

const ALL = Array.from({ length: 20 }, (_, index) => `W${index + 1}`)
const THIS_NODE = { binary: process.execPath, version: process.versions.node, major: Number(process.versions.node.split('.')[0]) }

describe('the command line', () => {
  it('wants everything, into the documents, unless it says otherwise', () => {
    const wanted = readCommandLine(['--node', '24'])
    expect(wanted).toMatchObject({ ids: ALL, memory: true, nodes: ['24'], isComplete: true, command: 'npm run bench -- --node 24' })
    expect(wanted.peers).toHaveLength(8)
    expect(wanted.plan.rounds).toBeGreaterThanOrEqual(9)
  })

  it.each([
    [['quick'], { ids: ALL, nodes: ['24'], isComplete: false }],
    [['W3', '--peer', 'better-sqlite3', '--node', '24'], { ids: ['W3'], memory: false, peers: ['better-sqlite3'], isComplete: false }],
    [['W20', 'W2', '--peer', 'libsql'], { ids: ['W2', 'W20'], peers: ['better-sqlite3', 'libsql'], isComplete: false }],
    [['--rounds', '2'], { isComplete: false }],
    [['--no-floor'], { isComplete: false }],
    [['--node', '20', '--resume'], { isComplete: true, command: 'npm run bench -- --node 20' }],
  ])('reads %j', (args, expected) => {
    expect(readCommandLine(args)).toMatchObject(expected)
  })

  it.each([
    [['W21'], /'W21' is not one of W1, W2/],
    [['W1', '--peer', 'mysql'], /'mysql' is not one of better-sqlite3/],
    [['--rounds', '0'], /--rounds/],
    [['--profile', 'fast'], /--profile/],
    [['--speed'], /--speed/],
  ])('refuses %j', (args, message) => {
    expect(() => readCommandLine(args)).toThrow(message)
  })
})

describe('a run', () => {
  let files: { remove(): void }
  let folder: string

  beforeEach(() => {
    files = new Files()
    folder = mkdtempSync(join(tmpdir(), 'sluice-parts-'))
  })

  afterEach(() => {
    files.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  function contextOf(args: readonly string[]): Wanted & { readonly plan: Plan } {
    const wanted = readCommandLine(args)
    const plan = { ...wanted.plan, roundMs: 1, warmUpMs: 1, loopDelayMs: 1 }
    const peers = [{ name: 'sluice', version: null }]
    return { ...wanted, plan, settings: settingsFor('equal'), files, floor: null, missing: [], peers } as never
  }

  it.each(['W1', 'W8', 'W9', 'W10'])('measures each case of %s', async (id) => {
    const context = contextOf([id, '--rounds', '1'])
    const results = await measureUnit({ id, kind: 'cases' }, THIS_NODE, context)
    expect(results.length).toBeGreaterThan(0)
    expect(results.map(({ failures }) => failures)).toEqual(results.map(() => ({})))
    const times = results.map(({ figures }) => figures.find(({ name }) => name === 'sluice')?.microseconds.median ?? 0)
    expect(times.filter((time) => !(time > 0))).toEqual([])
  })

  it('knows how to measure every workload, and about how long each takes', () => {
    const context = contextOf([])
    const units = unitsOf(context)
    expect([...new Set(units.map(({ id }) => id))]).toEqual([...ALL, 'memory'])
    expect(units.map((unit) => secondsOf(unit, context)).filter((seconds) => !(seconds > 0))).toEqual([])
  })

  it('keeps what is finished for the same command, and for no other', () => {
    const unit = { id: 'W1', kind: 'cases' }
    const wanted = { ...contextOf(['--resume']), resume: true }
    new Parts(THIS_NODE, wanted, folder).write(unit, ['kept'])
    expect(new Parts(THIS_NODE, wanted, folder).read(unit)).toEqual(['kept'])
    expect(new Parts(THIS_NODE, wanted, folder).read({ id: 'W2', kind: 'cases' })).toBeNull()
    const longer = { ...wanted, plan: { ...wanted.plan, rounds: wanted.plan.rounds + 1 } }
    expect(new Parts(THIS_NODE, longer, folder).read(unit)).toBeNull()
    expect(new Parts(THIS_NODE, { ...wanted, resume: false }, folder).read(unit)).toBeNull()
  })
})

const same = (median: number): Spread => ({ median, least: median / 2, greatest: median * 2 })
const figure = (name: string, ratio: number, coreShare: number | null = null): object => {
  const latency = { p50: { ms: same(1), ratio: same(ratio) }, 'p99.9': { ms: same(9), ratio: same(ratio) } }
  const share = coreShare === null ? null : same(coreShare)
  return { name, microseconds: same(10 * ratio), ratio: same(ratio), coreShare: share, latency, loopDelay: { p99Ms: 0.25, maxMs: 3 } }
}
const scenarioFigure = (figure: object): object => ({ key: 'key', target: null, least: false, ratio: null, ...figure })
const RESULT = {
  command: 'npm run bench -- --node 24',
  date: '2026-01-01',
  profile: 'equal',
  plan: { rounds: 9, quick: false },
  environment: { sqlite: '3.54.1', platform: 'linux x64', cores: 2, processor: 'one', fileSystem: 'ext4', syncMs: 1, commit: 'abc' },
  node: '24.1.0',
  baseline: 'better-sqlite3',
  peers: [{ name: 'sluice', version: '0.1.0' }, { name: 'better-sqlite3', version: '13.2.0' }, { name: 'sqlite3', version: '6.0.1' }],
  missing: [{ name: 'libsql', reason: 'needs Node 99' }],
  cases: [
    {
      id: 'W2',
      title: 'reads',
      inFlight: 64,
      readers: null,
      baseline: 'better-sqlite3',
      target: 0.75,
      figures: [figure('sluice', 0.5, 0.8), figure('better-sqlite3', 1), figure('floor: core', 0.4)],
      failures: { sqlite3: 'NotOffered: it is too old\n    at somewhere' },
    },
    {
      id: 'W19',
      title: "another's",
      inFlight: 1,
      readers: null,
      baseline: 'better-sqlite3',
      target: 1,
      figures: [figure('sluice', 1.5), figure('better-sqlite3', 1)],
      failures: {},
    },
  ],
  scenarios: [
    {
      id: 'W12',
      title: 'rows',
      about: 'Many.',
      failures: {},
      figures: [
        scenarioFigure({ title: 'first row', unit: 'ms', target: '<= 5', peers: { sluice: same(6), 'better-sqlite3': null } }),
        scenarioFigure({ title: 'size', unit: 'MiB', least: true, peers: { sluice: same(2), 'better-sqlite3': same(3) } }),
      ],
    },
    {
      id: 'W18',
      title: 'calls in flight',
      about: 'They grow.',
      failures: {},
      growth: 'in flight',
      points: [1, 10].map((point) => {
        return { point, figures: [{ key: 'time', title: 'per call', unit: 'µs', peers: { sluice: same(point) } }] }
      }),
    },
  ],
  memory: [{ name: 'sluice', idle: { openBytes: 1_024, readBytes: 2_048 }, queued: null }],
}

describe('a report', () => {
  it('holds what was measured against the targets', () => {
    const verdicts = verdictsOf(RESULT).map(({ id, title, met }) => [id, title, met])
    expect(verdicts).toEqual([['W2', 'reads', true], ['W12', 'rows: first row', false], ['W12', 'rows: size', true]])
  })

  it('says what was run, what came of it, and why something is missing', () => {
    const plots = [{ name: 'a', title: 'A plot', path: 'node-24/a.svg' }]
    const page = markdownOf(RESULT, plots, { 'W12: rows: first row': 'The disk is slow.' })
    expect(page).toContain('`npm run bench -- --node 24`, 2026-01-01, commit abc')
    expect(page).toContain('Not measured: libsql (needs Node 99).')
    expect(page).toContain("2 of 3 are met. In 0 of 1 cases of others' benchmarks it is ahead.")
    expect(page).toContain('| W2: reads | 0.50 (0.25–1.00) | <= 0.75 x better-sqlite3 | yes | 20 % (-60–60) | 0.3 / 3.0 ms |')
    expect(page).toMatch(/- W12: rows: first row: 6 \(3–12\) ms instead of <= 5\. The disk is slow\./)
    expect(page).toContain('cannot: it is too old')
    expect(page).toContain('![A plot](node-24/a.svg)')
    expect(page).toContain('| greatest relative to least | 10 |')
    expect(page).not.toContain('undefined')
    expect(page).not.toContain('NaN')
  })

  it('says of few rounds that they are a trial', () => {
    expect(markdownOf(RESULT)).not.toContain('A trial')
    expect(markdownOf({ ...RESULT, plan: { rounds: 2, quick: false } })).toContain('A trial of 2 rounds')
  })

  it('has charts that name the command and the versions', () => {
    const charts = chartsOf(RESULT)
    expect(charts.map(({ name }) => name)).toEqual(['ratios', 'latency-w2', 'latency-w19', 'loop-delay', 'in-flight'])
    const source = 'npm run bench -- --node 24, 2026-01-01\nNode 24.1.0, sluice 0.1.0'
    expect(charts.map(({ option }) => option.title.subtext.slice(0, source.length))).toEqual(charts.map(() => source))
  })
})
