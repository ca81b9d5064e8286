import { SpanKind, SpanStatusCode } from '@opentelemetry/api'

/** Returns what there is to know of a span. */
export function spanFacts(span) {
  return {
    id: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId ?? null,
    name: span.name,
    kind: SpanKind[span.kind],
    status: SpanStatusCode[span.status.code],
    message: span.status.message ?? null,
    attributes: span.attributes,
    events: span.events,
  }
}

/** Prints spans as a tree, in the order of their beginnings. */
export function printSpans(spans, parent = null, depth = 0) {
  const children = spans.filter((span) => (span.parentSpanContext?.spanId ?? null) === parent)
  for (const span of children.sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1])) {
    const ms = (span.duration[0] * 1_000 + span.duration[1] / 1e6).toFixed(2)
    const failure = span.attributes['error.type']
    const text = span.attributes['db.query.text']
    console.log(`${'  '.repeat(depth)}${span.name} (${ms} ms)${failure === undefined ? '' : ` failed: ${failure}`}`)
    if (text !== undefined) console.log(`${'  '.repeat(depth + 1)}| ${text.replaceAll(/\s+/g, ' ')}`)
    printSpans(spans, span.spanContext().spanId, depth + 1)
  }
}
