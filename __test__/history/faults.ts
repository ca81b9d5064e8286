import type { Database } from '../../index.js'
import type { Store } from './running.js'

/** Does wrong what no driver may: each is planted in what the clients use. */
export type Fault = (db: Database) => Store

/** Acknowledges every hundredth append without doing it. */
export function lostAcknowledgement(): Fault {
  let appends = 0
  return (db) =>
    overridden(db, {
      run: async (sql, params, options) => (++appends % 100 === 0 ? { changes: 1, lastInsertRowid: 1 } : db.run(sql, params, options)),
    })
}

/** Answers every tenth read with what another read of the same key had been answered before. */
export function staleRead(): Fault {
  const known = new Map<string, unknown[]>()
  let reads = 0
  return (db) =>
    overridden(db, {
      pluck: async (sql, params, options) => {
        const old = known.get(String(params))
        if (old !== undefined && ++reads % 10 === 0) return old as never[]
        const rows = await db.pluck(sql, params, options)
        if (old === undefined) known.set(String(params), rows)
        return rows as never[]
      },
    })
}

/** Shows reads what transactions have inserted, before they commit, and although they are rolled back. */
export function dirtyRead(): Fault {
  const uncommitted = new Map<string, unknown[]>()
  return (db) =>
    overridden(db, {
      pluck: async (sql, params, options) => {
        const dirty = uncommitted.get(String(params)) ?? []
        return [...(await db.pluck(sql, params, options)), ...dirty] as never[]
      },
      transaction: async (callback, options) => {
        const keys: string[] = []
        const result = await db.transaction((tx) => {
          const run = tx.run.bind(tx)
          tx.run = async (sql, params, limits) => {
            const [key, value] = params as readonly unknown[]
            keys.push(String(key))
            uncommitted.set(String(key), [...(uncommitted.get(String(key)) ?? []), value])
            return run(sql, params, limits)
          }
          return callback(tx)
        }, options)
        for (const key of keys) uncommitted.delete(key)
        return result
      },
    })
}

/** Makes a store that does what `db` does, but for some methods. */
function overridden(db: Database, methods: Partial<Store>): Store {
  return new Proxy<Store>(db, {
    get: (target, name) => {
      const method: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name)
      return typeof method === 'function' ? method.bind(target) : method
    },
  })
}
