import * as orm from 'drizzle-orm'
import * as core from 'drizzle-orm/sqlite-core'
import { SqliteError } from 'sluice'
import { drizzle } from 'sluice/drizzle'
import { migrate } from 'sluice/drizzle/migrator'
import { exercise } from './exercise-045.mjs'

await exercise({ drizzle, migrate, SqliteError, orm, core }, process.argv[2])
