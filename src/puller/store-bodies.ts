import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import { MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import { inWindow } from '../flow/in-window.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { HeldLease } from './held-lease.ts';
import type { PullerDeps } from './puller-deps.ts';
import type { QueueCounts } from './queue-counts.ts';
import type { Batch } from './work.ts';

/** Megabytes each. */
const PUTS_AT_ONCE = 4;

interface BodyParts extends Pick<PullerDeps, 'clock' | 'bodies'> {
  readonly logger: Logger;
  readonly messages: Pick<ProcessQueue, 'giveBack'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'signal'>;
  readonly counts: Pick<QueueCounts, 'count'>;
}

/** Puts the bodies that records of a batch point to into their bucket (`s3PointerThreshold`). */
export class BodyStorage {
  readonly #parts: BodyParts;
  /** A further delivery need not put their bodies there again. */
  readonly #stored = new WeakSet<QueueEntry>();

  constructor(parts: BodyParts) {
    this.#parts = parts;
  }

  /**
   * True: all bodies are there. Otherwise the batch was put back: what could not be stored waits for a while, without a failure, and what is not behind
   * it in an order is delivered without it.
   */
  async storeBodies({ batchId, deliveries, items }: Batch): Promise<boolean> {
    const { bodies, clock, counts, lease, lifecycle, logger, messages } = this.#parts;
    if (bodies === undefined) return true;
    const signal = lifecycle.signal('handlers');
    const pointing = deliveries.flatMap(({ entry, message }, position) => {
      const pointer = items[position]?.s3Pointer;
      return pointer === undefined || this.#stored.has(entry) ? [] : [{ entry, message, pointer }];
    });
    if (pointing.length === 0) return true;
    const failures: unknown[] = [];
    await inWindow(
      pointing,
      async ({ entry, message: { body }, pointer }) => {
        if (!lease.mayAct()) return;
        try {
          await bodies.put(pointer, body, { signal });
          this.#stored.add(entry);
        } catch (error) {
          failures.push(error);
        }
      },
      PUTS_AT_ONCE,
    );
    const left = pointing.filter(({ entry }) => !this.#stored.has(entry));
    if (left.length === 0) return true;
    if (lifecycle.isLost) return false;
    if (!signal.aborted) {
      counts.count('InvokeErrorCount');
      logger.error(
        {
          err: failures[0],
          code: 'ROCKETMQ_BODY_NOT_STORED',
          batchId,
          messages: left.length,
          offset: String(left[0]?.entry.offset),
        },
        'bodies cannot be put into the bucket of s3PointerThreshold: their messages wait, no failure is counted',
      );
    }
    const waiting = new Set(left.map(({ entry }) => entry));
    const again = clock.now() + MIN_LOCAL_RETRY_MS;
    for (const { entry } of deliveries)
      messages.giveBack(entry, waiting.has(entry) ? again : 0, false);
    return false;
  }
}
