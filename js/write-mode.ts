import type { BindingControl } from './binding.js'
import { SluiceError } from './errors.js'
import { Scope } from './scope.js'
import type { SessionRunner } from './session-runner.js'
import { traceWhole } from './trace.js'
import type { TransactionTrace } from './tracing.js'
import { expectBehavior, expectCallback, runTransaction } from './transaction.js'
import type { Transaction } from './transaction.js'
import type { BeginOptions } from './types.js'
import { Writes } from './writes.js'

const MAKER = Symbol('maker')
let construct: (runner: SessionRunner) => WriteMode

/**
 * Has a database for itself: no other connection of this process is open. Made by {@link Database.writeMode}.
 *
 * There is no transaction but those that are begun here; BEGIN and COMMIT as text are allowed.
 */
export class WriteMode extends Writes {
  readonly #runner: SessionRunner

  static {
    construct = (runner) => new WriteMode(MAKER, runner)
  }

  private constructor(maker: symbol, runner: object) {
    if (maker !== MAKER) throw new SluiceError('ERR_SLUICE_INVALID_ARGUMENT', 'a WriteMode is made by db.writeMode(fn)')
    super(runner)
    this.#runner = runner as SessionRunner
  }

  /**
   * Runs `callback` in a transaction, which is committed when it returns and rolled back when it throws. Several run one after another.
   *
   * @throws what the callback throws; as {@link Transaction.commit}
   */
  async transaction<R>(callback: (tx: Transaction) => Promise<R> | R, options?: Pick<BeginOptions, 'behavior'>): Promise<R> {
    return this.#runner.awaits(this.#transaction(callback, options))
  }

  async #transaction<R>(callback: (tx: Transaction) => Promise<R> | R, options: Pick<BeginOptions, 'behavior'> | undefined): Promise<R> {
    expectCallback(callback)
    const behavior = expectBehavior(options)
    const runner = this.#runner
    while (runner.busy !== null) await runner.busy
    runner.expectOpen()
    const free = runner.claim()
    try {
      const trace = runner.session.submitter.tracer.transaction('transaction', 0)
      const run = (): Promise<R> => transact(runner, behavior, callback, trace, free)
      return await (trace === null ? run() : traceWhole(trace, run))
    } finally {
      free()
    }
  }
}

async function transact<R>(
  runner: SessionRunner,
  behavior: BindingControl,
  callback: (tx: Transaction) => Promise<R> | R,
  trace: TransactionTrace | null,
  free: () => void,
): Promise<R> {
  const begun = runner.session.control(behavior, 0)
  await begun.settled
  begun.expectSuccess()
  trace?.begun()
  return runTransaction(runner.session, new Scope(runner, 'transaction'), callback, trace, free)
}

/** Makes a write mode; its constructor is not for users. */
export function makeWriteMode(runner: SessionRunner): WriteMode {
  return construct(runner)
}
