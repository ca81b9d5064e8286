export { SluiceAdapter } from './adapter.js'
export type { ConnectionConfig, OpenFile, SluiceDialectConfig, UseDatabase } from './config.js'
export { SluiceDialect } from './dialect.js'
