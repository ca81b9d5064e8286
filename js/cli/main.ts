#!/usr/bin/env node
import { doctor, DOCTOR_USAGE } from './doctor.js'
import { inspect, INSPECT_USAGE } from './inspect.js'
import { Misuse } from './misuse.js'
import { version } from './version.js'

const USAGE = `usage: sluice <command>

  sluice inspect <file>  open a database file and serve a page that shows what it does
  sluice doctor <file>   check a database file and explain what is found
  sluice --version       print the version

Each command prints its options with --help.`

/** What can be run, and how it is used. */
const COMMANDS: { readonly [name: string]: { readonly run: (args: readonly string[]) => Promise<number>; readonly usage: string } } = {
  doctor: { run: doctor, usage: DOCTOR_USAGE },
  inspect: { run: inspect, usage: INSPECT_USAGE },
}

/** The exit code of a command that was not understood, or could not begin. */
const MISUSED = 2

/** Runs the command that is named, and returns the exit code. */
async function run(name: string | undefined, args: readonly string[]): Promise<number> {
  if (name === '--version' || name === '-v') return say(version)
  if (name === '--help' || name === '-h') return say(USAGE)
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) return refuse(name === undefined ? 'name a command' : `there is no command '${name}'`, USAGE)
  try {
    return await command.run(args)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isMisuse = error instanceof Misuse || code?.startsWith('ERR_PARSE_ARGS_') === true
    return refuse(message, isMisuse ? command.usage : undefined)
  }
}

function say(text: string): number {
  console.log(text)
  return 0
}

function refuse(message: string, usage: string | undefined): number {
  console.error(`sluice: ${message}${usage === undefined ? '' : `\n\n${usage}`}`)
  return MISUSED
}

const [name, ...args] = process.argv.slice(2)
process.exitCode = await run(name, args)
