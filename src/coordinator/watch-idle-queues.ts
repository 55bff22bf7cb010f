import { afterPoll, changePolls, type PollOutcome } from '../decide/dispatch/idle-polls.ts';
import { ConnectionError, RequestTimeoutError } from '../errors.ts';
import { linkSignals } from '../model/linked-signal.ts';
import { isPopUnit, type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { Subscription } from '../model/subscription.ts';
import type { GroupRun } from './group-run.ts';

/** Java's push suspend. Brokers answer within milliseconds of a message, else at their 5 s tick after it. */
const SUSPEND_MS = 15_000;
const BROKER_TICK_MS = 5_000;
const ANSWER_SLACK_MS = 5_000;
const RECONNECT_MS = 1_000;

export interface WatchedQueue {
  readonly queue: MessageQueue;
  /** The committed offset: where a message would be that somebody has to take. */
  readonly offset: bigint;
  readonly subscription: Subscription;
}

export interface IdleWatch {
  /** Watches exactly these from now on; a poll that is under way for one of them goes on. */
  watchOnly(queues: readonly WatchedQueue[]): void;
  /** The offset at which a queue is watched now, by queue key. */
  watchedAt(key: string): bigint | undefined;
  /** Queues that turned out to have work, by queue key, with the offset where it is. Whoever acts on them clears them. */
  readonly found: Map<string, bigint>;
  /** Resolves when there is something in `found`, after `ms`, or when the run ends. */
  workOrTimeout(ms: number): Promise<void>;
}

/**
 * One long poll per idle queue over the shared connection. Nothing is committed and nothing is kept of an answer: it only tells that the
 * queue wants a puller, because there is a message, or something to skip, or because an operator moved the offset. All ends with the run.
 */
export function createIdleWatch(run: GroupRun): IdleWatch {
  const polls = new Map<string, { readonly offset: bigint; readonly stop: AbortController }>();
  const found = new Map<string, bigint>();
  let wake = new AbortController();

  const watch = ({ queue, offset, subscription }: WatchedQueue, key: string): void => {
    const stop = new AbortController();
    polls.set(key, { offset, stop });
    const linked = linkSignals(stop.signal, run.signal);
    untilWork(run, { queue, offset, subscription }, linked.signal)
      .catch((error: unknown) => {
        run.problems.add(error, { topic: queue.topic, brokerName: queue.brokerName });
        return false;
      })
      .then((work) => {
        linked.unlink();
        if (stop.signal.aborted) return;
        polls.delete(key);
        if (!work) return;
        found.set(key, offset);
        wake.abort();
      })
      .catch((error: unknown) => run.problems.add(error));
  };

  return {
    found,
    watchOnly(queues) {
      const wanted = new Map(queues.map((watched) => [queueKey(watched.queue), watched]));
      const { stop, start } = changePolls(offsetsOf(polls), offsetsOf(wanted));
      for (const key of stop) {
        polls.get(key)?.stop.abort();
        polls.delete(key);
      }
      for (const key of start) {
        const watched = wanted.get(key);
        if (watched !== undefined) watch(watched, key);
      }
    },
    watchedAt: (key) => polls.get(key)?.offset,
    async workOrTimeout(ms) {
      if (found.size === 0) {
        wake = new AbortController();
        const { signal, unlink } = linkSignals(wake.signal, run.signal);
        await run.clock.sleep(ms, signal).catch(() => {});
        unlink();
      }
    },
  };
}

/** Of a run that is too short to watch: nothing is found. */
export function createNoWatch(run: GroupRun): IdleWatch {
  return {
    found: new Map(),
    watchOnly: () => {},
    watchedAt: () => undefined,
    workOrTimeout: (ms) => run.clock.sleep(ms, run.signal).catch(() => {}),
  };
}

function offsetsOf(by: ReadonlyMap<string, { readonly offset: bigint }>): Map<string, bigint> {
  return new Map(Array.from(by, ([key, { offset }]) => [key, offset]));
}

/** True when the queue needs a puller; false when the watch ended before. */
async function untilWork(
  run: GroupRun,
  watched: WatchedQueue,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const next = afterPoll(await poll(run, watched, signal));
    if (next === 'work') return true;
    if (signal.aborted || next === 'give-up') return false;
    if (next === 'poll-again-later') await run.clock.sleep(RECONNECT_MS, signal).catch(() => {});
  }
  return false;
}

/** One long poll. The queue's errors are reported. */
async function poll(
  run: GroupRun,
  { queue, offset, subscription }: WatchedQueue,
  signal: AbortSignal,
): Promise<PollOutcome> {
  const { rocketmq, clock, group } = run;
  const { topic, brokerName } = queue;
  const left = run.until - clock.now();
  // The broker rounds up to its tick; what is held longer than the run is cut off by the signal, which is harmless.
  const suspendMs = Math.min(SUSPEND_MS, Math.max(1, left - BROKER_TICK_MS));
  const options = { signal, timeoutMs: suspendMs + BROKER_TICK_MS + ANSWER_SLACK_MS };
  const { consumerGroup } = group;
  try {
    if (isPopUnit(queue)) {
      const askedAt = clock.now();
      const request = { consumerGroup, topic, brokerName, pollMs: suspendMs };
      const hasMessages = await rocketmq.hasMessages(request, options);
      return { type: 'asked', hasMessages, tookMs: clock.now() - askedAt };
    }
    const { status } = await rocketmq.pull(
      { consumerGroup, queue, offset, subscription, maxMessages: 1, suspendMs },
      options,
    );
    return { type: 'pulled', status };
  } catch (error) {
    if (signal.aborted) return { type: 'refused' };
    run.problems.add(error, { topic, brokerName });
    return error instanceof ConnectionError || error instanceof RequestTimeoutError
      ? { type: 'unreachable' }
      : { type: 'refused' };
  }
}
