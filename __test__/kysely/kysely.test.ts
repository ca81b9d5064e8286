import * as kysely from 'kysely'
import * as sqlite from 'kysely/helpers/sqlite'
import * as migration from 'kysely/migration'

import * as dialect from 'sluice/kysely'
import { describeAll } from './suite/all.js'

describeAll({ name: '0.29', kysely, migration, sqlite, dialect })
