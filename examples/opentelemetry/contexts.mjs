import { AsyncLocalStorage } from 'node:async_hooks'
import { ROOT_CONTEXT } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'

/** The usual context manager, but for its storage: tracing channels can be bound to this one. */
export class ChannelContextManager extends AsyncLocalStorageContextManager {
  storage = new AsyncLocalStorage()

  active() {
    return this.storage.getStore() ?? ROOT_CONTEXT
  }

  with(context, callback, self, ...args) {
    return this.storage.run(context, () => callback.apply(self, args))
  }

  disable() {
    this.storage.disable()
    return this
  }
}
