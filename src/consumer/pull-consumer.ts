import { callOptions, messageQueue } from '../client/check-calls.ts';
import { type ClusterOptions, checkCluster } from '../client/check-cluster.ts';
import {
  type Check,
  filledText,
  logger,
  objectWith,
  offset as offsetValue,
  oneOf,
  optional,
  positive,
  refuse,
  rocketmqName,
  text,
  wholeNumber,
} from '../client/check-values.ts';
import { PROGRAM_CLOCK } from '../client/program-clock.ts';
import { createRocketMQClient } from '../client/rocketmq-client.ts';
import type { StartPosition } from '../decide/assignment/start-position.ts';
import type { QueueRange } from '../decide/offset/queue-life.ts';
import { startOffset } from '../decide/offset/start-offset.ts';
import { MemoryBudget } from '../decide/pull/memory-budget.ts';
import { BrokerError, RequestTimeoutError, RocketMQError } from '../errors.ts';
import type { DelayLevel } from '../model/delay-level.ts';
import type { Message } from '../model/message.ts';
import {
  compareQueues,
  type MessageQueue,
  queueKey,
  RETRY_TOPIC_PREFIX,
} from '../model/message-queue.ts';
import { readableQueues } from '../model/route.ts';
import type { Subscription } from '../model/subscription.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { CallOptions, PullResult, RocketMQ } from '../ports/rocketmq.ts';
import { inspectQueue } from '../queue/inspect-queue.ts';
import { PULL_BATCH_SIZE } from '../queue/pull-loop.ts';
import { firstMark, offsetOf, reportInvalidOffset } from '../queue/valid-offset.ts';
import { whyAsMessage } from '../records/own-retry.ts';
import { buildSubscription, userTopic } from '../records/subscription.ts';
import { boundLogger } from './bound-logger.ts';
import { checkFilter, checkReadOptions } from './check-read-options.ts';
import { QueueCursor } from './queue-cursor.ts';
import { BLOCK_MS } from './queue-reader.ts';
import { type ReadDeps, Reading, type ReadOptions } from './read-messages.ts';

/** The cluster, and the group whose offsets are used. */
export interface PullConsumerOptions extends ClusterOptions {
  readonly consumerGroup: string;
  /** Gets what goes wrong and is repeated; nothing is logged without one. */
  readonly logger?: Logger;
  /**
   * Bytes of responses that all loops together hold ahead of the messages that were passed. Bodies
   * count as they are stored: a compressed one is opened when its message is delivered. A single
   * response that is larger is taken when its queue holds nothing else. Default 256 MiB.
   */
  readonly maxCachedBytes?: number;
}

/** All optional: tests bring their own time, randomness and client. */
export interface PullConsumerDeps {
  readonly client?: RocketMQ;
  readonly clock?: Clock;
  /** 0 ≤ r < 1 */
  readonly random?: () => number;
}

export interface PullOptions extends CallOptions {
  /** Where to read. Default: the consumer's position in the queue (see `seek`). */
  readonly offset?: bigint;
  readonly filter?: ReadOptions['filter'];
  /** 1..32; brokers give no more. Default 32. */
  readonly maxMessages?: number;
}

export interface SendBackOptions extends CallOptions {
  /** 0: the broker decides (level 3 + failures so far). −1: to the dead-letter queue now. 1..18: that level. Default 0. */
  readonly delayLevel?: number;
  /** Redeliveries before the dead-letter queue; −1: without end. Default 16. */
  readonly maxReconsumeTimes?: number;
}

const MAX_CACHED_BYTES = 256 * 1024 * 1024;
const DEFAULT_RECONSUME_TIMES = 16;
const MAX_RECONSUME_TIMES = 2 ** 31 - 1;
const MAX_DELAY_LEVEL = 18;
/** What a Date can have. */
const MAX_TIME_MS = 8.64e15;

const checkCall = callOptions();
const checkPull = callOptions({
  offset: optional(offsetValue),
  filter: optional(checkFilter),
  maxMessages: optional(wholeNumber(1, PULL_BATCH_SIZE)),
});
const checkSendBack = callOptions({
  delayLevel: optional(wholeNumber(-1, MAX_DELAY_LEVEL)),
  maxReconsumeTimes: optional(wholeNumber(-1, MAX_RECONSUME_TIMES)),
});

/** The queue and the options that most calls take. @throws ConfigError */
function checkQueueCall(queue: MessageQueue, options: CallOptions, check = checkCall): void {
  messageQueue(queue, 'queue');
  check(options, 'options');
}

/**
 * For programs that drive the loop themselves: pull from the queues you name, and say what is done. Nobody shares the queues out among several
 * consumers of a group, and nothing is committed unless you say so. Mirrors DefaultMQPullConsumer and, in `messages`, DefaultLitePullConsumer
 * with assigned queues.
 *
 * ```ts
 * await using consumer = new PullConsumer({ consumerGroup: 'auditor', nameServers: ['127.0.0.1:9876'] });
 * for await (const message of consumer.messages('orders', { signal, commitIntervalMs: 5_000 })) {
 *   try {
 *     await audit(message.body);
 *   } catch {
 *     await consumer.sendBack(message); // comes again on %RETRY%auditor
 *   }
 * }
 * ```
 *
 * Offsets are bigint, times epoch milliseconds. Errors are of the family in errors.ts: TopicNotFoundError, PermissionError, ConnectionError,
 * RequestTimeoutError, BrokerError.
 */
export class PullConsumer implements AsyncDisposable {
  readonly consumerGroup: string;
  readonly #client: RocketMQ;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #memory: MemoryBudget;
  readonly #closed = new AbortController();
  readonly #cursors = new Map<string, Promise<QueueCursor>>();
  readonly #opened = new Set<QueueCursor>();
  readonly #readings = new Set<Reading>();
  /** SQL filters that brokers have compiled. */
  readonly #compiled = new Map<string, Promise<Subscription>>();

  /** Connects when first used. @throws ConfigError for options that are missing, misspelt or not valid */
  constructor(options: PullConsumerOptions, deps: PullConsumerDeps = {}) {
    const checked = checkCluster(options, {
      consumerGroup: rocketmqName,
      logger: optional(logger),
      maxCachedBytes: optional(positive),
    });
    const { consumerGroup, logger: log, maxCachedBytes = MAX_CACHED_BYTES, ...cluster } = checked;
    const { clock = PROGRAM_CLOCK, random = Math.random } = deps;
    this.consumerGroup = consumerGroup;
    this.#logger = boundLogger(log);
    this.#clock = clock;
    this.#random = random;
    this.#memory = MemoryBudget.ofAnswers(maxCachedBytes);
    this.#client =
      deps.client ??
      createRocketMQClient(cluster, {
        clock,
        random,
        ...(log === undefined ? {} : { logger: log }),
      });
  }

  /** The queues of a topic that may be read, sorted. @throws TopicNotFoundError */
  async fetchQueues(topic: string, options: CallOptions = {}): Promise<MessageQueue[]> {
    rocketmqName(topic, 'topic');
    checkCall(options, 'options');
    return readableQueues(await this.#client.topicRoute(topic, { ...options, fresh: true })).sort(
      compareQueues,
    );
  }

  /**
   * What stands at an offset now, without waiting. Changes no position: go on at `nextBeginOffset` yourself, or `seek` there. The answer may be
   * empty (NO_NEW_MSG, NO_MATCHED_MSG) or dictate another offset (OFFSET_MOVED).
   */
  async pull(queue: MessageQueue, options: PullOptions = {}): Promise<PullResult> {
    return await this.#pull(queue, options, 0);
  }

  /** The same, but a broker without a message holds the answer for up to 20 s, until one comes. */
  async pullBlockIfNotFound(queue: MessageQueue, options: PullOptions = {}): Promise<PullResult> {
    return await this.#pull(queue, options, BLOCK_MS);
  }

  /** The group's stored offset; undefined when it has none. */
  async committed(queue: MessageQueue, options: CallOptions = {}): Promise<bigint | undefined> {
    checkQueueCall(queue, options);
    return await this.#client.queryOffset(this.consumerGroup, queue, options);
  }

  /** Stores what the loops over `messages` have passed, of all queues that were read: the message in hand is not among it. */
  commit(): Promise<void>;
  /** Stores an offset: that of the next message to be read. Brokers take any, also one that lies before. Without a loop it is the position, too. */
  commit(queue: MessageQueue, offset: bigint, options?: CallOptions): Promise<void>;
  async commit(queue?: MessageQueue, offset?: bigint, options: CallOptions = {}): Promise<void> {
    checkCall(options, 'options');
    if (queue === undefined && offset === undefined) {
      const read = [...this.#opened].filter(({ wasRead }) => wasRead);
      await Promise.all(read.map((cursor) => cursor.commit(options)));
      return;
    }
    messageQueue(queue, 'queue');
    offsetValue(offset, 'offset');
    const place = queue as MessageQueue;
    const { resetPending } = await (await this.#cursorOf(place)).store(offset as bigint, options);
    if (resetPending)
      throw new RocketMQError(
        'ROCKETMQ_RESET_PENDING',
        `offset ${offset} of ${queueKey(place)} was not stored: an operator reset the group's offset, and the next pull tells where to`,
      );
  }

  /**
   * Goes on at another offset: the next pull without one, and loops over `messages`, a running one too. Stores nothing.
   * @throws RocketMQError ROCKETMQ_OFFSET_OUT_OF_RANGE for an offset that is not between the queue's first message and its end
   */
  async seek(
    queue: MessageQueue,
    to: bigint | 'begin' | 'end',
    options: CallOptions = {},
  ): Promise<void> {
    checkQueueCall(queue, options);
    if (typeof to !== 'bigint') oneOf('begin', 'end', 'or an offset, such as 42n')(to, 'to');
    const [min, max] = await Promise.all([
      this.#client.minOffset(queue, options),
      this.#client.maxOffset(queue, options),
    ]);
    const offset = to === 'begin' ? min : to === 'end' ? max : to;
    if (offset < min || offset > max)
      throw new RocketMQError(
        'ROCKETMQ_OFFSET_OUT_OF_RANGE',
        `offset ${offset} of ${queueKey(queue)} does not exist: the queue has ${min} to ${max}`,
      );
    (await this.#cursorOf(queue)).offsets.rewind(offset);
  }

  /** The first offset that was stored at that time or later; the end of the queue when there is none. */
  async offsetByTimestamp(
    queue: MessageQueue,
    timestamp: number | Date,
    options: CallOptions = {},
  ): Promise<bigint> {
    checkQueueCall(queue, options);
    const time: unknown = timestamp instanceof Date ? timestamp.getTime() : timestamp;
    if (typeof time !== 'number' || !(Math.abs(time) <= MAX_TIME_MS))
      refuse(timestamp, 'timestamp', 'epoch milliseconds or a valid Date');
    return await this.#client.searchOffset(queue, Number(timestamp), options);
  }

  /** The offset of the oldest message. */
  async minOffset(queue: MessageQueue, options: CallOptions = {}): Promise<bigint> {
    checkQueueCall(queue, options);
    return await this.#client.minOffset(queue, options);
  }

  /** The offset that the next message will get. */
  async maxOffset(queue: MessageQueue, options: CallOptions = {}): Promise<bigint> {
    checkQueueCall(queue, options);
    return await this.#client.maxOffset(queue, options);
  }

  /**
   * Gives a message back as failed: it returns on the topic `%RETRY%<consumerGroup>` after its delay, or ends in `%DLQ%<consumerGroup>`. When the
   * broker cannot do it by itself, the message is sent there as an ordinary one (Java's fallback). Commit it afterwards, not before.
   */
  async sendBack(message: Message, options: SendBackOptions = {}): Promise<void> {
    checkSendBack(options, 'options');
    checkPulled(message);
    const { maxReconsumeTimes = DEFAULT_RECONSUME_TIMES, delayLevel: given, ...call } = options;
    const delayLevel = delayLevelOf(given);
    const { brokerName, commitLogOffset, offsetMsgId, topic } = message;
    const place = { consumerGroup: this.consumerGroup, brokerName, commitLogOffset };
    const asMessage = (): Promise<void> =>
      this.#client.sendBackAsNormalMessage(
        this.consumerGroup,
        message,
        delayLevel,
        maxReconsumeTimes,
        call,
      );
    // Request 36 would keep properties of an earlier life.
    if (whyAsMessage(message, this, false) !== undefined) return asMessage();
    try {
      await this.#client.sendBack(
        { ...place, delayLevel, maxReconsumeTimes, originMsgId: offsetMsgId, originTopic: topic },
        call,
      );
    } catch (error) {
      if (!(error instanceof BrokerError || error instanceof RequestTimeoutError)) throw error;
      this.#logger.warn(
        {
          err: error,
          offset: String(message.queueOffset),
          code: 'ROCKETMQ_SEND_BACK_REFUSED',
        },
        'message not sent back by its broker, sending it as an ordinary one',
      );
      await asMessage();
    }
  }

  /** The topic that a message was sent to: a redelivery's own is `%RETRY%<consumerGroup>`. */
  topicOf(message: Message): string {
    checkPulled(message);
    return userTopic(message, this.consumerGroup);
  }

  /**
   * All messages of topics or single queues, one after the other, in order within each queue; without end, until the signal aborts, the loop is
   * left, or the consumer is closed. Begins at the position of an earlier loop or `seek`, else at the group's stored offset, else at
   * `startingPosition`. Pulls ahead within `flowLimits` and `maxCachedBytes`. A broker that is away is
   * waited for, at the start and later. A message counts as passed when the loop asks for the next one: `commit()` and
   * `commitIntervalMs` store no more than that, so what was in hand when the program died comes again.
   * @throws ConfigError at once for options that are misspelt or not valid; what does not end by itself, in the loop: PermissionError, GroupNotFoundError, InvalidFilterError, UndecodableRecordError
   */
  messages(
    from: string | MessageQueue | readonly (string | MessageQueue)[],
    options: ReadOptions = {},
  ): AsyncGenerator<Message, void, undefined> {
    const targets = typeof from === 'string' || !isList(from) ? [from] : from;
    if (targets.length === 0) refuse(undefined, 'from', 'at least one topic or queue');
    for (const target of targets)
      if (typeof target === 'string') rocketmqName(target, 'topic');
      else messageQueue(target, 'queue');
    checkReadOptions(options, 'options');
    return this.#loop(new Reading(this.#readDeps(), targets, options));
  }

  async *#loop(reading: Reading): AsyncGenerator<Message, void, undefined> {
    this.#closed.signal.throwIfAborted();
    this.#readings.add(reading);
    try {
      yield* reading.messages();
    } finally {
      this.#readings.delete(reading);
    }
  }

  /**
   * Ends the loops, stores what those with `commitIntervalMs` have passed, and closes the connections. What a loop has in hand does not count as
   * passed. May be called again, and from within a loop.
   */
  async close(): Promise<void> {
    this.#closed.abort(new RocketMQError('ROCKETMQ_CLOSED', 'the consumer is closed'));
    await Promise.all([...this.#readings].map((reading) => reading.finish()));
    await this.#client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #readDeps(): ReadDeps {
    return {
      consumerGroup: this.consumerGroup,
      client: this.#client,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      memory: this.#memory,
      fetchQueues: (topic) => this.fetchQueues(topic),
      cursorOf: (queue, start) => this.#cursorOf(queue, start),
      subscriptionOf: (topic, brokerName, filter) => this.#subscription(topic, brokerName, filter),
      closed: this.#closed.signal,
    };
  }

  async #pull(queue: MessageQueue, options: PullOptions, suspendMs: number): Promise<PullResult> {
    checkQueueCall(queue, options, checkPull);
    const {
      filter,
      maxMessages = PULL_BATCH_SIZE,
      offset = await this.#positionIn(queue),
      ...call
    } = options;
    const subscription = await this.#subscription(queue.topic, queue.brokerName, filter);
    const request = {
      consumerGroup: this.consumerGroup,
      queue,
      offset,
      subscription,
      maxMessages,
      suspendMs,
    };
    const result = await this.#client.pull(request, call);
    // The broker tells of a reset only once.
    if (result.status === 'OFFSET_MOVED' && result.reset)
      (await this.#cursorOf(queue)).offsets.moved(result.nextBeginOffset, true);
    return result;
  }

  /** Keeps no cursor: a pull must not decide where a later loop begins. */
  async #positionIn(queue: MessageQueue): Promise<bigint> {
    const cursor = this.#cursors.get(queueKey(queue)) ?? this.#openCursor(queue, { at: 'min' });
    return (await cursor).messages.committable;
  }

  #cursorOf(queue: MessageQueue, start: StartPosition = { at: 'min' }): Promise<QueueCursor> {
    const key = queueKey(queue);
    const known = this.#cursors.get(key);
    if (known !== undefined) return known;
    const cursor = this.#openCursor(queue, start);
    this.#cursors.set(key, cursor);
    cursor.then(
      (opened) => this.#opened.add(opened),
      // One that could not be opened is opened again.
      () => this.#cursors.delete(key),
    );
    return cursor;
  }

  /** Begins at the stored offset, if it is valid in the queue as it is now. */
  async #openCursor(
    { topic, brokerName, queueId }: MessageQueue,
    at: StartPosition,
  ): Promise<QueueCursor> {
    const queue = { topic, brokerName, queueId };
    const deps = {
      consumerGroup: this.consumerGroup,
      client: this.#client,
      clock: this.#clock,
      logger: this.#logger,
    };
    const [stored, range] = await Promise.all([
      this.committed(queue),
      inspectQueue(this.#client, queue),
    ]);
    const start = stored ?? (await this.#startOf(queue, at, range));
    const facts = { stored, start, range, committed: undefined, mark: undefined };
    const decision = startOffset({ ...facts, knownMax: undefined });
    const position = await offsetOf(this.#client, queue, decision, range);
    if (decision.kind === 'minimum')
      reportInvalidOffset(this.#logger.child({ queue: queueKey(queue) }), decision, position);
    return new QueueCursor({ queue, position, stored, lifeMark: firstMark(range) }, deps);
  }

  async #startOf(
    queue: MessageQueue,
    start: StartPosition,
    range: QueueRange | undefined,
  ): Promise<bigint> {
    switch (start.at) {
      case 'min':
        return range?.min ?? (await this.#client.minOffset(queue));
      case 'max':
        return range?.max ?? (await this.#client.maxOffset(queue));
      case 'timestamp':
        return this.#client.searchOffset(queue, start.timestamp);
    }
  }

  /** A SQL92 filter that does not compile would deliver everything: the broker compiles it first. @throws InvalidFilterError */
  #subscription(
    topic: string,
    brokerName: string,
    filter: ReadOptions['filter'],
  ): Promise<Subscription> {
    if (filter === undefined || typeof filter === 'string' || topic.startsWith(RETRY_TOPIC_PREFIX))
      return Promise.resolve(
        buildSubscription(
          topic,
          topic.startsWith(RETRY_TOPIC_PREFIX) || filter === undefined ? '*' : (filter as string),
        ),
      );
    const key = JSON.stringify([topic, brokerName, filter.sql]);
    const known = this.#compiled.get(key);
    if (known !== undefined) return known;
    const subscription = buildSubscription(topic, filter.sql, 'SQL92', this.#clock.now());
    const compiled = this.#client
      .checkSubscription(this.consumerGroup, subscription, brokerName)
      .then(() => subscription);
    this.#compiled.set(key, compiled);
    compiled.catch(() => this.#compiled.delete(key));
    return compiled;
  }
}

/** The numbers of RocketMQ's own clients. */
function delayLevelOf(given = 0): DelayLevel {
  if (given === 0) return 'broker-decides';
  return given < 0 ? 'dead-letter' : given;
}

const storedOffset: Check = (value, place) => {
  if (typeof value !== 'bigint') refuse(value, place, 'a bigint');
};

/** Takes every record that a broker can store: producers write some of these fields. */
const pulledMessage = objectWith(
  {
    topic: text,
    brokerName: filledText,
    queueOffset: storedOffset,
    commitLogOffset: storedOffset,
    offsetMsgId: filledText,
    reconsumeTimes: wholeNumber(-MAX_RECONSUME_TIMES - 1, MAX_RECONSUME_TIMES),
    properties: (value, place) => {
      if (!(value instanceof Map)) refuse(value, place, 'a Map');
    },
    body: (value, place) => {
      if (!Buffer.isBuffer(value)) refuse(value, place, 'a Buffer');
    },
  },
  'a message that was pulled',
);

function checkPulled(message: Message): void {
  pulledMessage(message, 'message');
}

function isList(
  from: MessageQueue | readonly (string | MessageQueue)[],
): from is readonly (string | MessageQueue)[] {
  return Array.isArray(from);
}
