import { movedTo } from '../decide/offset/start-offset.ts';
import { type FlowLimits, flowControl } from '../decide/pull/flow-control.ts';
import { ConnectionError } from '../errors.ts';
import { linkSignals } from '../model/linked-signal.ts';
import { MASTER_ID } from '../model/route.ts';
import type { Subscription } from '../model/subscription.ts';
import { timerMs } from '../model/timer.ts';
import type { Logger } from '../ports/logger.ts';
import type { PullResult, RocketMQ } from '../ports/rocketmq.ts';
import { pullFailureOf } from '../queue/pull-failure.ts';
import { FIRST_PULL, stepPull } from '../queue/pull-state.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import type { QueueCursor } from './queue-cursor.ts';

export const MOST_MESSAGES = 32;
/** Java's BROKER_SUSPEND_MAX_TIME_MILLIS of pull consumers. */
export const BLOCK_MS = 20_000;
const FULL_WAIT_MS = 50;
/** While a reset waits, the next pull is sent after this. */
const RESET_WAIT_MS = 300;

export interface FillDeps {
  readonly consumerGroup: string;
  readonly client: RocketMQ;
  readonly logger: Logger | undefined;
  readonly limits: FlowLimits;
  readonly wakeup: Wakeup;
  /** Ends the work. */
  readonly signal: AbortSignal;
}

/**
 * Keeps a cursor filled until the signal aborts: the pull loop of a PullConsumer's iteration. What does not go away by itself (no right, no such
 * group, a filter that does not compile) rejects; a broker that is away is waited for.
 */
export async function fillCursor(
  cursor: QueueCursor,
  subscription: Subscription,
  deps: FillDeps,
): Promise<void> {
  const { client, consumerGroup, wakeup, signal } = deps;
  let state = FIRST_PULL;
  while (!signal.aborted) {
    // After a commit that was dropped for a reset, a pull must tell where to go on, however full the cache is.
    if (!cursor.offsets.resetPending && flowControl(cursor.messages, deps.limits) !== undefined) {
      await wakeup.wait(FULL_WAIT_MS);
      continue;
    }
    const { generation, nextOffset } = cursor.messages;
    const { pullSignal } = cursor;
    const { resetPending } = cursor.offsets;
    const maxMessages = state.unreadable > 0 ? 1 : MOST_MESSAGES;
    const request = {
      consumerGroup,
      queue: cursor.queue,
      offset: nextOffset,
      subscription,
      maxMessages,
      suspendMs: resetPending ? 0 : BLOCK_MS,
      // Only the master knows of resets.
      brokerId: resetPending ? MASTER_ID : state.brokerId,
    };
    const linked = linkSignals(signal, pullSignal);
    try {
      const result = await client.pull(request, { signal: linked.signal });
      const suggestedBrokerId = result.suggestWhichBrokerId;
      state = stepPull(state, { type: 'answered', suggestedBrokerId, now: Date.now() }).state;
      if (cursor.messages.generation !== generation) continue;
      // What is pulled while a reset waits belongs to the time before it, and would pile up.
      if (resetPending && result.status !== 'OFFSET_MOVED') {
        // A pull before this one took the sign of the reset, and its answer was lost.
        await cursor.offsets.resolveReset();
        if (cursor.offsets.resetPending) await pause(RESET_WAIT_MS, linked.signal);
        continue;
      }
      take(cursor, result, nextOffset);
      wakeup.all();
    } catch (error) {
      if (signal.aborted || pullSignal.aborted) continue;
      const failure = pullFailureOf(error);
      const random = Math.random();
      const step = stepPull(state, { type: 'failed', failure, now: Date.now(), random });
      if (step.kind === 'stop') throw error;
      if (error instanceof ConnectionError) cursor.offsets.connectionLost();
      state = step.state;
      const waitMs = step.kind === 'wait' ? step.waitMs : 0;
      deps.logger?.warn(
        { err: error, queue: cursor.queue, waitMs: Math.round(waitMs) },
        'a pull failed',
      );
      await pause(waitMs, linked.signal);
    } finally {
      linked.unlink();
    }
  }
}

function take(cursor: QueueCursor, result: PullResult, asked: bigint): void {
  switch (result.status) {
    case 'FOUND':
      cursor.messages.put(result.messages, result.undecodable, result.nextBeginOffset);
      break;
    case 'NO_NEW_MSG':
    case 'NO_MATCHED_MSG':
      cursor.messages.advance(result.nextBeginOffset);
      break;
    case 'OFFSET_MOVED':
      cursor.offsets.moved(
        result.reset ? result.nextBeginOffset : movedTo(asked, result),
        result.reset,
      );
      break;
  }
}

/** Resolves after the time, or when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, timerMs(ms));
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
