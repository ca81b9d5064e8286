import { SluiceError } from 'sluice'
import { isLoopback } from './access.js'

/**
 * Options of {@link startInspector}. Unknown keys, and values of the wrong kind or out of range, are errors
 * (`ERR_SLUICE_INVALID_OPTION`).
 */
export interface InspectorOptions {
  /**
   * The port to listen on, 0 to 65,535. With 0 the system picks a free one.
   * @defaultValue 0
   */
  readonly port?: number | undefined
  /**
   * The address to listen on: one of this machine alone, unless `allowRemote` is set.
   * @defaultValue '127.0.0.1'
   */
  readonly host?: string | undefined
  /**
   * Whether `host` may be an address that other machines reach. Whoever has the URL sees every statement, and the connection is not
   * encrypted.
   * @defaultValue false
   */
  readonly allowRemote?: boolean | undefined
  /**
   * From how long on a statement is slow, in milliseconds of running.
   * @defaultValue 50
   */
  readonly slowMs?: number | undefined
  /**
   * How many events are kept, 100 to 1,000,000, in the process and in each page; older ones are forgotten.
   * @defaultValue 10_000
   */
  readonly history?: number | undefined
  /**
   * Whether the inspector keeps the process from ending.
   * @defaultValue false
   */
  readonly keepAlive?: boolean | undefined
}

/** Options that have been checked, each with its value. */
export type Settings = { readonly [Name in keyof InspectorOptions]-?: NonNullable<InspectorOptions[Name]> }

const DEFAULTS: Settings = { port: 0, host: '127.0.0.1', allowRemote: false, slowMs: 50, history: 10_000, keepAlive: false }

/** What each number may be, and in which words. */
const RANGES: readonly { option: 'port' | 'slowMs' | 'history'; from: number; to: number; whole: boolean }[] = [
  { option: 'port', from: 0, to: 65_535, whole: true },
  { option: 'slowMs', from: 0, to: 86_400_000, whole: false },
  { option: 'history', from: 100, to: 1_000_000, whole: true },
]

/** Checks options and adds the defaults. */
export function settingsOf(options: InspectorOptions): Settings {
  for (const option of Object.keys(options)) {
    if (!(option in DEFAULTS)) refuse(option, `unknown option '${option}'; the options are ${Object.keys(DEFAULTS).join(', ')}`)
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const settings: Settings = { ...DEFAULTS, ...given }
  for (const option of ['allowRemote', 'keepAlive'] as const) {
    if (typeof settings[option] !== 'boolean') refuse(option, `${option} must be true or false`)
  }
  for (const { option, from, to, whole } of RANGES) {
    const value: unknown = settings[option]
    const fits = typeof value === 'number' && value >= from && value <= to && (!whole || Number.isInteger(value))
    if (!fits) refuse(option, `${option} must be ${whole ? 'an integer' : 'a number'} from ${from} to ${to}`)
  }
  if (typeof settings.host !== 'string' || settings.host === '') refuse('host', 'host must be an address or a name')
  if (!settings.allowRemote && !isLoopback(settings.host)) {
    refuse('host', `host '${settings.host}' can be reached from other machines; set allowRemote to mean it`)
  }
  return settings
}

function refuse(option: string, message: string): never {
  throw new SluiceError('ERR_SLUICE_INVALID_OPTION', message, { option })
}
