// An HTTP server that answers pings, and makes reports.
import { once } from 'node:events'
import { createServer } from 'node:http'

/** Serves `/ping`, at once, and `/report`, which is what `report` returns as JSON. */
export class PingServer {
  #server

  /** @param {() => Promise<unknown>} report */
  constructor(report) {
    this.#server = createServer(async (request, response) => {
      try {
        response.end(JSON.stringify(request.url === '/report' ? await report() : 'pong'))
      } catch (error) {
        response.writeHead(500).end(error.message)
      }
    })
  }

  /** Starts, and returns the port. */
  async listen() {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return this.#server.address().port
  }

  close() {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(resolve))
  }
}
