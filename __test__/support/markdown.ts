import { readFileSync, readdirSync } from 'node:fs'

/** A block of code in a document. */
export interface CodeBlock {
  /** The word after the fence: `js`, `ts`, `sh`. */
  readonly language: string
  /** What follows that word. */
  readonly note: string
  readonly code: string
  /** The line of the document on which the code begins, from 1. */
  readonly line: number
  /** The heading of second level that it stands under. */
  readonly section: string
}

/** A program of a document, which prints what its comments say. */
export interface Program {
  readonly name: string
  readonly extension: string
  /** The code, each line at the number it has in the document. */
  readonly code: string
  /** What follows `// →`, in order. */
  readonly output: readonly string[]
}

const FENCE = /^```(\w*)[ ]?(.*)$/
const OUTPUT = /\/\/ → (.*)$/gm

/** Lists every document of the repository, as a path from its root. */
export function documents(): string[] {
  const inFolder = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith('.md')).map((name) => `${folder}/${name}`)
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...inFolder('docs').sort(), ...inFolder('docs/benchmarks').sort()]
}

/** Reads a document. */
export function readDocument(path: string): string {
  return readFileSync(path, 'utf8')
}

/** Finds the blocks of code in a document. */
export function codeBlocks(text: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  let section = ''
  let open: { language: string; note: string; line: number; lines: string[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const fence = FENCE.exec(line)
    if (open !== undefined && fence !== null) {
      blocks.push({ language: open.language, note: open.note, line: open.line, code: open.lines.join('\n'), section })
      open = undefined
    } else if (open !== undefined) {
      open.lines.push(line)
    } else if (fence !== null) {
      open = { language: fence[1] ?? '', note: fence[2] ?? '', line: index + 2, lines: [] }
    } else if (line.startsWith('## ')) {
      section = line.slice(3)
    }
  }
  if (open !== undefined) throw new Error(`the block at line ${open.line} has no end`)
  return blocks
}

/** Returns a document without its blocks of code. */
export function prose(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '')
}

/** Finds the blocks that are not run, with the reason each gives. */
export function blocksLeftOut(text: string): CodeBlock[] {
  return codeBlocks(text).filter(({ note }) => note.startsWith('no-run'))
}

/** Makes the programs of a document: the `js` blocks of a section are one together, and each `ts` or `cjs` block is one by itself. */
export function programs(path: string): Program[] {
  const blocks = codeBlocks(readDocument(path)).filter(({ note }) => !note.startsWith('no-run'))
  const scripts = blocks.filter(({ language }) => language === 'js')
  const sections = [...new Set(scripts.map(({ section }) => section))]
  return [
    ...sections.map((section) => program(`${path}: ${section}`, 'mjs', scripts.filter((block) => block.section === section))),
    ...blocks.filter(({ language }) => language === 'ts').map((block) => program(`${path}:${block.line}`, 'mts', [block])),
    ...blocks.filter(({ language }) => language === 'cjs').map((block) => program(`${path}:${block.line}`, 'cjs', [block])),
  ]
}

function program(name: string, extension: string, blocks: readonly CodeBlock[]): Program {
  const lines: string[] = []
  for (const block of blocks) {
    while (lines.length < block.line - 1) lines.push('')
    lines.push(...block.code.split('\n'))
  }
  const code = lines.join('\n')
  return { name, extension, code, output: [...code.matchAll(OUTPUT)].map(([, text]) => text ?? '') }
}

/** Returns the fragments that headings of a document can be linked by, as GitHub makes them. */
export function anchors(text: string): string[] {
  const headings = [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading ?? '')
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  )
}
