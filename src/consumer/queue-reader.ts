import type { StartPosition } from '../decide/assignment/start-position.ts';
import type { FlowLimits } from '../decide/pull/flow-control.ts';
import type { MemoryBudget, QueueMemory } from '../decide/pull/memory-budget.ts';
import { RocketMQError, TopicNotFoundError } from '../errors.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import { onAbort } from '../model/on-abort.ts';
import { MASTER_ID } from '../model/route.ts';
import type { Subscription } from '../model/subscription.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { filterFailureOf, pullFailureOf } from '../queue/pull-failure.ts';
import { PULL_BATCH_SIZE, pullQueue } from '../queue/pull-loop.ts';
import type { PullLoop } from '../queue/pull-ports.ts';
import { firstPull, stepPull } from '../queue/pull-state.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import type { QueueCursor } from './queue-cursor.ts';

/** Java's BROKER_SUSPEND_MAX_TIME_MILLIS of pull consumers. */
export const BLOCK_MS = 20_000;

/** What the readers of one loop share. */
export interface ReaderDeps {
  readonly consumerGroup: string;
  readonly client: RocketMQ;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly limits: FlowLimits;
  readonly memory: MemoryBudget;
  readonly wakeup: Wakeup;
  readonly cursorOf: (queue: MessageQueue, start: StartPosition) => Promise<QueueCursor>;
  /** Compiles the filter at the queue's broker. */
  readonly subscriptionOf: (queue: MessageQueue) => Promise<Subscription>;
  readonly onOpen: (cursor: QueueCursor) => void;
}

/**
 * One queue of a loop: opens its cursor and keeps it filled until it is stopped. A broker that is
 * away is waited for, at the start and later. What does not go away by itself (no right, no such
 * group, a filter that does not compile) rejects `done`.
 */
export class QueueReader {
  readonly queue: MessageQueue;
  /** Settles when nothing of the reader is in flight any more. */
  readonly done: Promise<void>;
  readonly #deps: ReaderDeps;
  readonly #lifecycle: LifecycleKeeper;
  readonly #logger: Logger;
  #cursor: QueueCursor | undefined;

  constructor(queue: MessageQueue, start: StartPosition, deps: ReaderDeps) {
    this.queue = queue;
    this.#deps = deps;
    this.#logger = deps.logger.child({ queue: queueKey(queue) });
    this.#lifecycle = new LifecycleKeeper({ log: () => {}, onChange: () => deps.wakeup.all() });
    this.done = this.#read(start);
  }

  /** undefined: the queue's broker has not answered yet. */
  get cursor(): QueueCursor | undefined {
    return this.#cursor;
  }

  stop(): void {
    this.#lifecycle.stop('signal');
  }

  /** After `done`, and after the last commit: the queue is free for another loop. */
  close(): void {
    this.#cursor?.stopReading();
  }

  async #read(start: StartPosition): Promise<void> {
    const subscription = await this.#untilAnswered(
      () => this.#deps.subscriptionOf(this.queue),
      filterFailureOf,
    );
    const cursor = await this.#openCursor(start);
    if (subscription === undefined || cursor === undefined) return;
    if (cursor.busy)
      throw new RocketMQError(
        'ROCKETMQ_USAGE',
        `${queueKey(this.queue)} is read by another loop of this consumer: end that one first, or use two consumers`,
      );
    const memory = this.#deps.memory.open(() => this.#deps.wakeup.all());
    cursor.startReading({ memory, interruptPull: () => this.#lifecycle.interruptPull() });
    this.#cursor = cursor;
    this.#deps.onOpen(cursor);
    const end = await pullQueue(this.#pullLoop(cursor, subscription, memory));
    if (end.kind === 'stopped') throw end.error;
  }

  /** Messages that are stored while the broker cannot be reached are not behind the latest one. */
  async #openCursor(start: StartPosition): Promise<QueueCursor | undefined> {
    const { clock, cursorOf } = this.#deps;
    const beganAt = clock.now();
    const later: StartPosition =
      start.at === 'max' ? { at: 'timestamp', timestamp: beganAt } : start;
    let isFirst = true;
    return this.#untilAnswered(() => {
      const at = isFirst ? start : later;
      isFirst = false;
      return cursorOf(this.queue, at);
    }, pullFailureOf);
  }

  /** undefined: the reader was stopped before. */
  async #untilAnswered<Answer>(
    ask: () => Promise<Answer>,
    failureOf: PullLoop['failureOf'],
  ): Promise<Answer | undefined> {
    const { clock, random } = this.#deps;
    let state = firstPull(clock.now());
    while (this.#lifecycle.ending === undefined) {
      try {
        return await unlessAborted(ask(), this.#lifecycle.signal('pull'));
      } catch (error) {
        if (this.#lifecycle.ending !== undefined) return undefined;
        if (error instanceof TopicNotFoundError && (await this.#isTopicGone())) throw error;
        const failure = failureOf(error);
        const failed = { type: 'failed', failure, brokerId: MASTER_ID } as const;
        const step = stepPull(state, { ...failed, now: clock.now(), random: random() });
        if (step.action.type !== 'back-off') throw error;
        state = step.state;
        const waitMs = Math.round(step.action.waitMs);
        this.#logger.warn(
          { err: error, failure, waitMs, code: 'ROCKETMQ_QUEUE_NOT_OPENED' },
          'queue not opened, asking again',
        );
        await clock.sleep(waitMs, this.#lifecycle.signal('pull')).catch(() => {});
      }
    }
    return undefined;
  }

  /** A broker that is away takes its topics out of the routes. It may have come back since: the route counts that is read after it was seen. */
  async #isTopicGone(): Promise<boolean> {
    const { client } = this.#deps;
    const there = await client.brokerNames().catch((): string[] => []);
    return there.includes(this.queue.brokerName) && isWithoutRoute(this.queue.topic, client);
  }

  #pullLoop(cursor: QueueCursor, subscription: Subscription, memory: QueueMemory): PullLoop {
    const { consumerGroup, client, clock, random, limits, wakeup } = this.#deps;
    const { queue, messages, position, life } = cursor;
    return {
      consumerGroup,
      queue,
      subscription,
      batchSize: PULL_BATCH_SIZE,
      client,
      messages,
      limits,
      memory,
      position,
      life,
      // An earlier loop, or the opening, may be long ago.
      isMarkOld: true,
      lifecycle: this.#lifecycle,
      wakeup,
      clock,
      random,
      logger: this.#logger,
      suspendMs: () => BLOCK_MS,
      pullsSingly: () => false,
      failureOf: pullFailureOf,
      observer: {},
    };
  }
}

/** Does a name server say that the topic has no route now? */
export async function isWithoutRoute(
  topic: string,
  client: Pick<RocketMQ, 'topicRoute'>,
): Promise<boolean> {
  try {
    await client.topicRoute(topic, { fresh: true });
    return false;
  } catch (error) {
    return error instanceof TopicNotFoundError;
  }
}

/** What a request brings, as long as it is waited for. @throws the signal's reason */
async function unlessAborted<Answer>(
  request: Promise<Answer>,
  signal: AbortSignal,
): Promise<Answer> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const unlink = onAbort(signal, () => reject(signal.reason));
  try {
    return await Promise.race([request, aborted]);
  } finally {
    unlink();
  }
}
