'use strict'

const { open } = require('sluice')

import('./exercise.mjs').then(({ exercise }) => exercise(open, process.argv[2]))
