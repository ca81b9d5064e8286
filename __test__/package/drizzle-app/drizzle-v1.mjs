import * as orm from 'drizzle-orm'
import * as core from 'drizzle-orm/sqlite-core'
import { SqliteError } from 'sluice'
import { drizzle } from 'sluice/drizzle-v1'
import { migrate } from 'sluice/drizzle-v1/migrator'
import { exercise } from './exercise-v1.mjs'

await exercise({ drizzle, migrate, SqliteError, orm, core }, process.argv[2])
