// Makes the page of the inspector one self-contained document, and writes it as a module, for import and for require.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { buildSync } from 'esbuild'
import { inRoot } from './paths.mjs'

const SOURCES = 'js/inspector/browser'
const TARGET = 'dist/inspector'
/** The oldest browsers that have what the page uses. */
const BROWSERS = ['chrome110', 'firefox121', 'safari16.4']

/** Joins a file and what it imports, and leaves out what only people need. */
function bundle(file) {
  const [{ text }] = buildSync({
    entryPoints: [inRoot(`${SOURCES}/${file}`)],
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    charset: 'utf8',
    target: BROWSERS,
    logLevel: 'error',
  }).outputFiles
  return text
}

/** Names a text as a Content-Security-Policy does. */
function hashOf(text) {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

/** Writes `dist/inspector/page.mjs` and its twin `page.js`. */
export function buildPage() {
  const [style, script] = [bundle('page.css'), bundle('main.ts')]
  const html = readFileSync(inRoot(`${SOURCES}/page.html`), 'utf8')
    .replace('<!-- style -->', () => `<style>${style}</style>`)
    .replace('<!-- script -->', () => `<script>${script}</script>`)
  const page = JSON.stringify({ html, scriptHash: hashOf(script), styleHash: hashOf(style) })
  mkdirSync(inRoot(TARGET), { recursive: true })
  writeFileSync(inRoot(`${TARGET}/page.mjs`), `export const PAGE = ${page}\n`)
  writeFileSync(inRoot(`${TARGET}/page.js`), `"use strict";\nexports.PAGE = ${page}\n`)
}
