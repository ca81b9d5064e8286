// Makes spans of the tracing channels of sluice, by the semantic conventions for databases:
// https://opentelemetry.io/docs/specs/semconv/database/
import { tracingChannel } from 'node:diagnostics_channel'
import { basename } from 'node:path'
import { SpanKind, SpanStatusCode, context as contexts, trace } from '@opentelemetry/api'
import { operationOf, withoutLiterals } from './sql.mjs'

/**
 * Makes a span of every query and transaction from now on, until the function that it returns is called. `storage` is that of the context
 * manager: what happens in the callback of a transaction becomes a child of its span.
 */
export function traceSluice(tracer, storage) {
  const stops = [
    spansOf('sluice:query', storage, (query) => startQuery(tracer, query), endQuery),
    spansOf('sluice:transaction', storage, (transaction) => startTransaction(tracer, transaction), endTransaction),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

/** Starts a span at each start of a channel, and ends it at its end. */
function spansOf(name, storage, start, end) {
  const channel = tracingChannel(name)
  const spans = new WeakMap()
  // The store is asked for in the async context of the caller: so the active span is the parent.
  channel.start.bindStore(storage, (traced) => {
    const span = start(traced)
    spans.set(traced, span)
    return trace.setSpan(contexts.active(), span)
  })
  const subscribers = {
    asyncEnd(traced) {
      const span = spans.get(traced)
      if (span === undefined) return
      end(span, traced)
      span.end()
    },
  }
  channel.subscribe(subscribers)
  return () => {
    channel.start.unbindStore(storage)
    channel.unsubscribe(subscribers)
  }
}

function startQuery(tracer, { sql, database, operation, batchSize }) {
  const namespace = namespaceOf(database)
  const name = operation === 'exec' ? undefined : operationOf(sql, batchSize)
  return tracer.startSpan(name === undefined ? namespace : `${name} ${namespace}`, {
    kind: SpanKind.CLIENT,
    attributes: {
      'db.system.name': 'sqlite',
      'db.namespace': namespace,
      // Values travel apart from the text; what was written into it is cut out, too.
      'db.query.text': withoutLiterals(sql),
      ...(name !== undefined && { 'db.operation.name': name }),
      // A batch of one is none, by the conventions.
      ...(batchSize !== undefined && batchSize !== 1 && { 'db.operation.batch.size': batchSize }),
    },
  })
}

function endQuery(span, { rows, route, queueMs, runMs, error }) {
  if (rows !== undefined) span.setAttribute('db.response.returned_rows', rows)
  if (route !== undefined) span.setAttribute('sluice.route', route)
  if (queueMs !== undefined) span.setAttribute('sluice.queue_ms', queueMs)
  if (runMs !== undefined) span.setAttribute('sluice.run_ms', runMs)
  if (error === undefined) return
  fail(span, error)
  if (error.errno !== undefined) span.setAttribute('db.response.status_code', String(error.errno))
}

function startTransaction(tracer, { database, operation }) {
  const namespace = namespaceOf(database)
  return tracer.startSpan(`${operation} ${namespace}`, {
    kind: SpanKind.INTERNAL,
    attributes: { 'db.system.name': 'sqlite', 'db.namespace': namespace },
  })
}

function endTransaction(span, transaction) {
  const { outcome, queueMs } = transaction
  if (outcome !== undefined) span.setAttribute('sluice.outcome', outcome)
  if (queueMs !== undefined) span.setAttribute('sluice.queue_ms', queueMs)
  if ('error' in transaction) fail(span, transaction.error)
}

/** Marks a span as failed: by the code alone, because the error may be the application's own, and its message may hold anything. */
function fail(span, error) {
  span.setAttribute('error.type', error?.code ?? error?.name ?? '_OTHER')
  span.setStatus({ code: SpanStatusCode.ERROR })
}

/** The name of the file. Where files of different folders share it, take the whole path. */
function namespaceOf(database) {
  return basename(database) || ':temporary:'
}
