// Prints what was found.

function number(value, digits = 0) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function milliseconds(value) {
  return value < 1000 ? `${number(value)} ms` : `${number(value / 1000, 1)} s`
}

/** Prints a cell: a text as it is, a number with its unit. */
function cell(value, { unit, digits }) {
  return unit === undefined ? value : `${number(value, digits)} ${unit}`
}

/** Lays rows out in columns: texts to the left, numbers to the right. A group is named in its first row only. */
function table(rows, columns) {
  const layout = Object.entries(columns)
  const isRepeated = (index, name) => columns[name].group && rows[index - 1]?.[name] === rows[index][name]
  const cells = rows.map((row, index) => layout.map(([name, shown]) => (isRepeated(index, name) ? '' : cell(row[name], shown))))
  const widths = layout.map((_, column) => Math.max(...cells.map((line) => line[column].length)))
  const align = (text, column) => (layout[column][1].unit === undefined ? text.padEnd(widths[column]) : text.padStart(widths[column]))
  return cells.map((line) => `  ${line.map(align).join('  ')}`.trimEnd())
}

function heading(title) {
  return ['', title, '─'.repeat(title.length)]
}

function loading({ sqlite, total, loaded, during, path, kept }) {
  const rate = loaded.cities / (loaded.loadMs / 1000)
  return [
    ...heading('The database'),
    `  ${kept ? path : 'a temporary file, removed'}, SQLite ${sqlite.version}`,
    `  ${number(total.cities)} cities with ${number(total.people)} people, in ${number(loaded.countries)} countries`,
    `  ${number(loaded.cities)} cities loaded in ${milliseconds(loaded.loadMs)} (${number(rate)} a second), indexed in ${milliseconds(loaded.indexMs)}`,
    `  ${number(during.inserted)} inserted while the questions were asked`,
  ]
}

function answer({ title, rows, columns }) {
  return [...heading(title), ...table(rows, columns)]
}

function besideWriter({ loaded, during }) {
  const { samples, citiesSeen } = during
  return [
    ...heading('Readers beside the writer'),
    `  ${number(during.writes)} writes and ${number(during.reads)} reads in ${milliseconds(during.ms)}`,
    `  ${number(during.rounds)} rounds of questions, which saw ${number(citiesSeen[0])} to ${number(citiesSeen.at(-1))} cities`,
    `  ${number(samples.readersBesideWriter)} of ${number(samples.taken)} samples of status(): two or more readers at work beside the writer (at most ${samples.peakReadersBesideWriter})`,
    `  ${number(loaded.samples.readersBesideWriter)} of ${number(loaded.samples.taken)} such samples while loading, when nothing was read`,
  ]
}

function resources({ inTurnMs, togetherMs, loop, pruning, workLeft }) {
  return [
    ...heading('Time, event loop, and what is left'),
    `  All questions    one after another: ${milliseconds(inTurnMs)}; all at once: ${milliseconds(togetherMs)}, with the same answers`,
    `  Event loop       ${number(loop.ticks)} ticks of ${loop.everyMs} ms in ${milliseconds(loop.overMs)}; late by ${number(loop.p99LateMs, 1)} ms (p99), ${number(loop.maxLateMs, 1)} ms (max)`,
    `  Unused readers   ${pruning.pruned} of ${pruning.opened} pruned; ${pruning.open} open ${milliseconds(pruning.ms)} after the last read (idleTtlMs: ${pruning.idleTtlMs})`,
    `  After close()    ${workLeft.length === 0 ? 'nothing left running' : `still running: ${workLeft.join(', ')}`}`,
  ]
}

function credits({ sources }) {
  const lines = sources.flatMap(({ package: name, content, rows, origin, licence }) => [
    `  ${number(rows)} ${content} from the package ${name}`,
    `    ${origin}; licence: ${licence}`,
  ])
  return [...heading('The data'), ...lines]
}

/** Prints the report. */
export function printReport(report) {
  const lines = [...loading(report), ...report.answers.flatMap(answer), ...besideWriter(report), ...resources(report), ...credits(report)]
  console.log(lines.join('\n'))
}
