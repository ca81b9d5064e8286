'use strict'

const orm = require('drizzle-orm')
const core = require('drizzle-orm/sqlite-core')
const { SqliteError } = require('sluice')
const { drizzle } = require('sluice/drizzle')
const { migrate } = require('sluice/drizzle/migrator')

import('./exercise-045.mjs').then(({ exercise }) => exercise({ drizzle, migrate, SqliteError, orm, core }, process.argv[2]))
