import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Database } from 'sluice'
import { inUrl, isOwnHost, isOwnOrigin, isSameToken, makeToken } from './access.js'
import type { Greeting } from './browser/protocol.js'
import type { Viewer } from './feed.js'
import { Feed } from './feed.js'
import type { Settings } from './options.js'
import { PAGE } from './page.js'
import { planOf } from './plans.js'

/** Nothing from anywhere else, nothing that the page does not hold itself, and no frame around it. */
const POLICY = [
  "default-src 'none'",
  `script-src '${PAGE.scriptHash}'`,
  `style-src '${PAGE.styleHash}'`,
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  // The address is a secret.
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
} as const

/** `/<token>/<what>/<which>` */
const PATH = /^\/([^/?]*)\/(?:(events|plan)(?:\/(\d{1,15}))?)?$/

/** Serves the page of one database, and tells it what happens. */
export class InspectorServer {
  readonly #db: Database
  readonly #settings: Settings
  readonly #feed: Feed
  readonly #token = makeToken()
  readonly #server: Server
  #closed: Promise<void> | undefined

  constructor(db: Database, settings: Settings) {
    this.#db = db
    this.#settings = settings
    this.#feed = new Feed(db, settings.history, settings.slowMs)
    this.#server = createServer((request, response) => this.#answer(request, response))
    if (settings.keepAlive) return
    this.#server.unref()
    this.#server.on('connection', (socket) => socket.unref())
  }

  /** Begins to listen, and returns the port. */
  async listen(): Promise<number> {
    const { port, host } = this.#settings
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    return this.port
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://${inUrl(this.#settings.host)}:${this.port}/${this.#token}/`
  }

  /** Stops listening and ends every connection. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
    return this.#closed
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { host, origin } = request.headers
    const [, token = '', what = 'page', which] = PATH.exec(request.url ?? '') ?? []
    if (!isOwnHost(host, this.#settings.host) || !isOwnOrigin(origin, host)) {
      refuse(response, 403, 'This address is not one of the inspector.')
    } else if (!isSameToken(token, this.#token)) {
      refuse(response, 404, 'There is nothing here. The URL of the inspector holds a secret: use all of it.')
    } else if (request.method !== (what === 'plan' ? 'POST' : 'GET')) {
      refuse(response, 405, 'This is not the way to ask.')
    } else if (what === 'plan') {
      void this.#plan(Number(which ?? 0), response)
    } else if (what === 'events') {
      this.#stream(request, response)
    } else {
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/html; charset=utf-8' }).end(PAGE.html)
    }
  }

  /** Explains a statement that has been seen. A page cannot ask about any other text. */
  async #plan(id: number, response: ServerResponse): Promise<void> {
    const sql = this.#feed.history.find(id)?.fields['sql']
    const plan = typeof sql === 'string' ? await planOf(this.#db, sql) : { error: 'This statement has been forgotten.' }
    response.writeHead(200, { ...HEADERS, 'Content-Type': 'application/json' }).end(JSON.stringify(plan))
  }

  /** Tells a page what happens, as server-sent events: {@link https://html.spec.whatwg.org/multipage/server-sent-events.html}. */
  #stream(request: IncomingMessage, response: ServerResponse): void {
    const send = (event: string, content: unknown): void => {
      response.write(`event: ${event}\ndata: ${JSON.stringify(content)}\n\n`)
    }
    const { slowMs, history } = this.#settings
    const viewer: Viewer = {
      seen: this.#lastSeen(request),
      get ready() {
        return !response.writableNeedDrain
      },
      // The browser sends the number back when it comes again.
      entries: (batch) => {
        response.write(`id: ${viewer.seen}\n`)
        send('entries', batch)
      },
      sample: (sample) => send('sample', sample),
    }
    response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream' })
    send('greeting', { database: this.#db.path, slowMs, history, nowMs: Date.now() } satisfies Greeting)
    response.once('close', () => this.#feed.delete(viewer))
    this.#feed.add(viewer)
    send('sample', this.#feed.sample())
  }

  /** The last event that a page has seen that comes back, or else the last one that nobody can see any more. */
  #lastSeen(request: IncomingMessage): number {
    const { lastId, forgottenId } = this.#feed.history
    const given = Number(request.headers['last-event-id'])
    return Number.isSafeInteger(given) && given >= 0 && given <= lastId ? given : forgottenId
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8' }).end(`${message}\n`)
}
