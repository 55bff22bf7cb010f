import { CutMap } from '../model/cut-map.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import type { QueueCounts } from './queue-counts.ts';
import type { Settlement } from './settlement.ts';
import type { Batch } from './work.ts';

/** ConsumeMessageConcurrentlyService sends back what takes too long with this level. */
const EXPIRED = { kind: 'level', level: 3 } as const;

/** One handler call under way. */
export class HandlerCall {
  readonly batch: Batch;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly #abandon = new AbortController();
  #expired: Promise<void> | undefined;

  constructor(batch: Batch, startedAt: number) {
    this.batch = batch;
    this.startedAt = startedAt;
  }

  /** Aborted when the call is not waited for any longer. */
  get signal(): AbortSignal {
    return this.#abandon.signal;
  }

  /** Set when its messages were sent back, and resolves when they have their ends: what the handler answers later counts for nothing. */
  get expired(): Promise<void> | undefined {
    return this.#expired;
  }

  /** @param settled never rejects */
  expire(settled: Promise<void>): void {
    this.#expired = settled;
  }

  abandon(): void {
    this.#abandon.abort(
      new Error('queue drains, a handler whose messages were sent back is not waited for'),
    );
  }
}

interface TimeoutParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending' | 'stop'>;
  readonly wakeup: Pick<Wakeup, 'all'>;
  readonly settlement: Pick<Settlement, 'settle'>;
  readonly counts: Pick<QueueCounts, 'callFailed'>;
}

/**
 * Sends back the messages of calls that take longer than `consumeTimeout`. The call goes on, and its deliverer with it, but nobody waits for it when
 * the queue's work ends; only where calls are counted (`maximumConcurrency`) it is waited for. Mirrors ConsumeMessageConcurrentlyService.cleanExpireMsg.
 */
export class ConsumeTimeouts {
  readonly #parts: TimeoutParts;
  /** By batch id. */
  readonly #calls = new CutMap<string, HandlerCall>();

  constructor(parts: TimeoutParts) {
    this.#parts = parts;
  }

  /** Watches a call while it is under way. */
  async watch<Result>(call: HandlerCall, work: () => Promise<Result>): Promise<Result> {
    this.#calls.set(call.batch.batchId, call);
    try {
      return await work();
    } finally {
      this.#calls.delete(call.batch.batchId);
    }
  }

  /** Looks at the clock. */
  check(): void {
    const { clock, lifecycle } = this.#parts;
    const now = clock.now();
    for (const call of this.#calls.values()) {
      const { consumeTimeout, maximumConcurrency } = call.batch.subscription;
      if (consumeTimeout === undefined) continue;
      if (call.expired === undefined && now - call.startedAt >= consumeTimeout * 1000)
        this.#expire(call);
      if (
        call.expired !== undefined &&
        lifecycle.ending !== undefined &&
        maximumConcurrency === undefined
      )
        call.abandon();
    }
  }

  #expire(call: HandlerCall): void {
    const { counts, logger, lifecycle, wakeup, settlement } = this.#parts;
    const { batchId, deliveries, subscription } = call.batch;
    logger.warn(
      {
        batchId,
        code: 'ROCKETMQ_CONSUME_TIMEOUT',
        messages: deliveries.length,
        consumeTimeout: subscription.consumeTimeout,
      },
      'messages are with their handler for too long: they are sent back, whatever it answers',
    );
    counts.callFailed(deliveries.length);
    const settled = settlement
      .settle(call.batch, () => EXPIRED)
      // Nobody awaits it before the handler answers.
      .catch((error: unknown) => {
        logger.error(
          { err: error, batchId, code: 'ROCKETMQ_INTERNAL' },
          'messages of an expired call not settled: draining',
        );
        lifecycle.stop('error');
      })
      .finally(() => wakeup.all());
    call.expire(settled);
  }
}
