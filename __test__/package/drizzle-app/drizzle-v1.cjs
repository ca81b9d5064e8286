'use strict'

const orm = require('drizzle-orm')
const core = require('drizzle-orm/sqlite-core')
const { SqliteError } = require('sluice')
const { drizzle } = require('sluice/drizzle-v1')
const { migrate } = require('sluice/drizzle-v1/migrator')

import('./exercise-v1.mjs').then(({ exercise }) => exercise({ drizzle, migrate, SqliteError, orm, core }, process.argv[2]))
