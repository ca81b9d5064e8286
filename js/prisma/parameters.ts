import type { ArgType } from '@prisma/driver-adapter-utils'
import type { SqlParameter } from 'sluice'

/** How a DateTime is stored: as text, or as milliseconds since 1970. */
export type TimestampFormat = 'iso8601' | 'unixepoch-ms'

/** Turns the arguments of Prisma into values that SQLite holds. */
export function toParameters(args: readonly unknown[], types: readonly ArgType[], format: TimestampFormat): SqlParameter[] {
  return args.map((arg, index) => toParameter(arg, types[index], format))
}

function toParameter(arg: unknown, type: ArgType | undefined, format: TimestampFormat): SqlParameter {
  if (arg instanceof Date) return toTimestamp(arg, format)
  // What is no text is what it is: the driver refuses what SQLite cannot hold, and names the parameter.
  if (typeof arg !== 'string') return arg as SqlParameter
  switch (type?.scalarType) {
    case 'int':
    case 'float':
      return Number(arg)
    case 'bigint':
      return BigInt(arg)
    case 'decimal':
      return toDecimal(arg)
    case 'datetime':
      return toTimestamp(new Date(arg), format)
    case 'bytes':
      return Buffer.from(arg, 'base64')
    default:
      return arg
  }
}

/** SQLite has no decimals: one that is a whole number of 64 bits is exact, and any other is the nearest floating-point number. */
function toDecimal(text: string): number | bigint {
  const number = Number(text)
  if (Number.isSafeInteger(number) || !/^-?\d+$/.test(text)) return number
  const whole = BigInt(text)
  return BigInt.asIntN(64, whole) === whole ? whole : number
}

function toTimestamp(date: Date, format: TimestampFormat): string | number {
  return format === 'unixepoch-ms' ? date.getTime() : date.toISOString().replace('Z', '+00:00')
}
