/** What the command and the test run. */
export { CELLS, cellsNamed, nameOf, runCell, runCells } from './cells.js'
export { Findings, withMatrix } from './matrix.js'
