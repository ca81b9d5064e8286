'use strict'

// What index.mjs imports. Node 20 ends the process when a CommonJS module throws while an ES module statically imports it,
// even when the import is caught (nodejs/node#51603). So a failure is handed over, and thrown by the ES module.
try {
  exports.core = require('./dist/index.js')
} catch (error) {
  exports.error = error
}
