import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { Clock } from '../ports/clock.ts';
import type { LocalAttempts } from './counted-attempts.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import { SharedTurns } from './shared-turns.ts';

/** Between two writes of one queue. Ends that begin meanwhile share the next one. */
const WRITE_INTERVAL_MS = 200;

/** Says before a dead letter is sent that its message has failed for good, so that the next holder knows. */
export interface EndIntents {
  /**
   * The end of the message begins: resolves when the next holder would see it, or when the table cannot be reached.
   * @param isCounted an earlier try was counted, here or by an earlier holder
   */
  begin(entry: QueueEntry, isCounted: boolean): Promise<void>;
}

interface IntentParts {
  readonly clock: Clock;
  readonly messages: Pick<ProcessQueue, 'countFailure'>;
  readonly attempts: LocalAttempts;
  readonly leaseKeeper: Pick<LeaseKeeper, 'renew'>;
}

/** Brokers count the deliveries of popped messages themselves. */
export const NO_END_INTENTS: EndIntents = { begin: async () => {} };

/**
 * The last failure is counted in the assignment before the dead letter is sent, and until its offset
 * is committed. A holder that dies in between, or loses its lease before the answer, leaves a message
 * that is past its limit: the next one delivers it to no handler and looks for the dead letter first.
 */
export class CountedEndIntents implements EndIntents {
  readonly #parts: IntentParts;
  readonly #begun = new WeakSet<QueueEntry>();
  readonly #writes: SharedTurns<unknown>;
  #writtenAt = 0;

  constructor(parts: IntentParts) {
    this.#parts = parts;
    const { clock, leaseKeeper } = parts;
    this.#writes = new SharedTurns(async () => {
      const waitMs = this.#writtenAt + WRITE_INTERVAL_MS - clock.now();
      if (waitMs > 0) await clock.sleep(waitMs);
      this.#writtenAt = clock.now();
      // Without the table the end is the same: it needs nobody's consent.
      await leaseKeeper.renew();
    });
  }

  async begin(entry: QueueEntry, isCounted: boolean): Promise<void> {
    const { messages, attempts } = this.#parts;
    if (this.#begun.has(entry)) return;
    this.#begun.add(entry);
    if (!isCounted) messages.countFailure(entry);
    attempts.ends(entry.offset, entry.localRetries, isCounted);
    if (!isCounted) await this.#writes.run();
  }
}
