import { randomInt } from 'node:crypto';
import { ConfigError, ConnectionError, RocketMQError } from '../errors.ts';
import { type MessageQueue, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import { MASTER_ID, PERM_READ, PERM_WRITE, type TopicRoute } from '../model/route.ts';
import type { ClusterConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { CallOptions, OutgoingMessage, PullRequest, PullResult, RocketMQ, SendResult } from '../ports/rocketmq.ts';
import { decodeRecords } from '../records/decode-records.ts';
import { createUniqKeys } from '../records/message-id.ts';
import { Property } from '../records/properties.ts';
import { matchesTags } from '../records/subscription.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import { DEFAULT_LIMITS, type Limits } from '../remoting/limits.ts';
import { ResponseCode, responseBehaviour } from '../remoting/response-code.ts';
import { checkClientConfig } from '../requests/check-client-config.ts';
import { createGroup } from '../requests/create-group.ts';
import { createTopic } from '../requests/create-topic.ts';
import type { RequestDefinition } from '../requests/define-request.ts';
import { getCluster } from '../requests/get-cluster.ts';
import { getConsumerConnections } from '../requests/get-consumer-connections.ts';
import { getConsumerList } from '../requests/get-consumer-list.ts';
import { getMaxOffset } from '../requests/get-max-offset.ts';
import { getMinOffset } from '../requests/get-min-offset.ts';
import { lockQueues, unlockQueues } from '../requests/lock-queues.ts';
import { PullFlag, pullMessage } from '../requests/pull-message.ts';
import { queryConsumerOffset } from '../requests/query-offset.ts';
import { searchOffset } from '../requests/search-offset.ts';
import { sendMessageBack } from '../requests/send-back.ts';
import { type SendMessageRequest, sendBatchMessage, sendMessage } from '../requests/send-message.ts';
import { updateConsumerOffset } from '../requests/update-offset.ts';
import { signRequest } from './acl-signature.ts';
import { brokerError } from './broker-error.ts';
import { Brokers } from './brokers.ts';
import type { ServerRequestHandler } from './connection.ts';
import { ConnectionPool } from './connection-pool.ts';
import { NameServers } from './name-servers.ts';
import { batchBody, normalRetryMessage, outgoingProperties } from './outgoing.ts';

/** Java's timeouts (mqClientApiTimeout, offset requests, lock, send-back). */
const CALL_TIMEOUT_MS = 3000;
const OFFSET_TIMEOUT_MS = 5000;
const LOCK_TIMEOUT_MS = 1000;
const SEND_BACK_TIMEOUT_MS = 5000;
/** Brokers end a long poll at their next 5 s tick; the rest is for a busy machine. */
const PULL_SLACK_MS = 10_000;

const TAG_SUB_VERSION = 0;
const DEFAULT_TOPIC = 'TBW102';
const DEFAULT_TOPIC_QUEUES = 4;
const PRODUCER_GROUP = 'serverless-rocketmq';

export interface ClientDeps {
  readonly clock?: Clock;
  /** 0 ≤ r < 1 */
  readonly random?: () => number;
  readonly limits?: Limits;
  readonly onServerRequest?: ServerRequestHandler;
}

export interface RocketMQClient extends RocketMQ {
  /** Drops every connection and keeps the client: for an environment that slept, whose sockets may be dead. */
  reset(): Promise<void>;
}

/**
 * A client of one cluster: one connection per address, brokers found through the name servers' routes.
 * @throws ConfigError for a cluster without name servers or with a malformed address
 */
export function createRocketMQClient(config: ClusterConfig, deps: ClientDeps = {}): RocketMQClient {
  if (config.nameServers.length === 0) throw new ConfigError('a cluster needs at least one name server: nameServers: [host:9876]');
  return new Client(config, deps);
}

const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

type QueueCall = CallOptions & {
  /** A read, or a write that may be repeated: sent once more after a stale route. */
  readonly repeatable?: boolean;
  readonly brokerId?: number;
};

class Client implements RocketMQClient {
  readonly #config: ClusterConfig;
  readonly #pool: ConnectionPool;
  readonly #nameServers: NameServers;
  readonly #brokers: Brokers;
  readonly #limits: Limits;
  readonly #now: () => number;
  readonly #uniqKey: () => string;
  readonly #nextQueue = new Map<string, number>();

  constructor(config: ClusterConfig, deps: ClientDeps) {
    const clock = deps.clock ?? SYSTEM_CLOCK;
    const random = deps.random ?? Math.random;
    this.#config = config;
    this.#limits = deps.limits ?? DEFAULT_LIMITS;
    this.#now = () => clock.now();
    this.#brokers = new Brokers(config.addressMap);
    this.#pool = new ConnectionPool({
      tls: config.tls,
      options: {
        maxFrameBytes: this.#limits.maxFrameBytes,
        ...(deps.onServerRequest === undefined ? {} : { onServerRequest: deps.onServerRequest }),
      },
      clock,
      random,
    });
    this.#nameServers = new NameServers(
      config.nameServers,
      (address, definition, request, options) => this.#exchange(address, definition, request, options),
      clock,
      random,
    );
    this.#uniqKey = createUniqKeys({ address: '127.0.0.1', pid: process.pid, random: randomInt(0xffffffff), now: this.#now });
  }

  async topicRoute(topic: string, options: CallOptions & { fresh?: boolean } = {}): Promise<TopicRoute> {
    const route = await this.#nameServers.route(topic, options);
    this.#brokers.learn(route.brokers);
    return route;
  }

  async pull(request: PullRequest, options: CallOptions = {}): Promise<PullResult> {
    const { queue, subscription, suspendMs, brokerId = MASTER_ID } = request;
    const answer = await this.#onQueue(
      queue,
      pullMessage,
      {
        consumerGroup: request.consumerGroup,
        topic: queue.topic,
        queueId: queue.queueId,
        queueOffset: request.offset,
        maxMsgNums: request.maxMessages,
        sysFlag: PullFlag.SUBSCRIPTION | (suspendMs > 0 ? PullFlag.SUSPEND : 0),
        commitOffset: 0n,
        suspendTimeoutMillis: suspendMs,
        subscription: subscription.subString,
        subVersion: subscription.expressionType === 'TAG' ? TAG_SUB_VERSION : subscription.subVersion,
        expressionType: subscription.expressionType,
      },
      { timeoutMs: suspendMs + PULL_SLACK_MS, ...options, brokerId, repeatable: true },
      PULL_CODES,
    );
    const { records, offsetDelta, ...offsets } = pullMessage.decodeAnswer(answer);
    switch (answer.code) {
      case ResponseCode.SUCCESS: {
        const decoded = decodeRecords(records, {
          brokerName: queue.brokerName,
          maxDecompressedBytes: this.#limits.maxDecompressedBytes,
          ...(offsetDelta === undefined ? {} : { offsetDelta }),
        });
        // The retry topic is subscribed as a whole: a filter that changed must not swallow old redeliveries.
        const filtered = subscription.tagsSet.length > 0 && !queue.topic.startsWith(RETRY_TOPIC_PREFIX);
        const messages = filtered
          ? decoded.messages.filter((message) => matchesTags(subscription, message.properties.get(Property.TAGS)))
          : decoded.messages;
        return { ...offsets, status: 'FOUND', messages, undecodable: decoded.undecodable, size: records.length };
      }
      case ResponseCode.PULL_NOT_FOUND:
        return { ...offsets, status: 'NO_NEW_MSG' };
      case ResponseCode.PULL_RETRY_IMMEDIATELY:
        return { ...offsets, status: 'NO_MATCHED_MSG' };
      default:
        return { ...offsets, status: 'OFFSET_MOVED', reset: answer.remark === 'OFFSET_RESET' };
    }
  }

  async queryOffset(consumerGroup: string, queue: MessageQueue, options: CallOptions = {}): Promise<bigint | undefined> {
    // Without the switch a broker answers 0 for a young queue that has no offset, and LATEST would start at its beginning.
    const request = { consumerGroup, ...place(queue), setZeroIfNotFound: false };
    const answer = await this.#onQueue(
      queue,
      queryConsumerOffset,
      request,
      { timeoutMs: OFFSET_TIMEOUT_MS, ...options, repeatable: true },
      QUERY_CODES,
    );
    return answer.code === ResponseCode.QUERY_NOT_FOUND ? undefined : queryConsumerOffset.decodeAnswer(answer);
  }

  async commitOffset(
    consumerGroup: string,
    queue: MessageQueue,
    offset: bigint,
    options: CallOptions = {},
  ): Promise<{ resetPending: boolean }> {
    const request = { consumerGroup, ...place(queue), commitOffset: offset };
    const answer = await this.#onQueue(queue, updateConsumerOffset, request, { timeoutMs: OFFSET_TIMEOUT_MS, ...options });
    return updateConsumerOffset.decodeAnswer(answer);
  }

  async maxOffset(queue: MessageQueue, options: CallOptions = {}): Promise<bigint> {
    return getMaxOffset.decodeAnswer(await this.#onQueue(queue, getMaxOffset, place(queue), { ...options, repeatable: true }));
  }

  async minOffset(queue: MessageQueue, options: CallOptions = {}): Promise<bigint> {
    return getMinOffset.decodeAnswer(await this.#onQueue(queue, getMinOffset, place(queue), { ...options, repeatable: true }));
  }

  async searchOffset(queue: MessageQueue, timestamp: number, options: CallOptions = {}): Promise<bigint> {
    const request = { ...place(queue), timestamp: BigInt(timestamp) };
    return searchOffset.decodeAnswer(await this.#onQueue(queue, searchOffset, request, { ...options, repeatable: true }));
  }

  async sendBack(request: Parameters<RocketMQ['sendBack']>[0], options: CallOptions = {}): Promise<void> {
    const { consumerGroup, brokerName, commitLogOffset, delayLevel, originMsgId, originTopic, maxReconsumeTimes } = request;
    const address = await this.#masterOf(brokerName, options);
    const wire = {
      group: consumerGroup,
      offset: commitLogOffset,
      delayLevel,
      originMsgId,
      originTopic,
      unitMode: false,
      maxReconsumeTimes,
    };
    await this.#toBroker(address, sendMessageBack, wire, { timeoutMs: SEND_BACK_TIMEOUT_MS, ...options });
  }

  async sendBackAsNormalMessage(
    ...[consumerGroup, message, delayLevel, maxReconsumeTimes, options = {}]: Parameters<RocketMQ['sendBackAsNormalMessage']>
  ): Promise<void> {
    const retry = normalRetryMessage(consumerGroup, message, delayLevel);
    const address = await this.#masterOf(message.brokerName, options);
    const request = this.#sendRequest({
      ...retry,
      // With ACL 2.0 the right is looked up for the group that is named here.
      producerGroup: consumerGroup,
      queueId: -1,
      reconsumeTimes: message.reconsumeTimes + 1,
      // A count over its limit is what sends an ordinary message to the DLQ.
      maxReconsumeTimes: delayLevel < 0 ? message.reconsumeTimes : maxReconsumeTimes,
    });
    await this.#toBroker(address, sendMessage, request, { timeoutMs: SEND_BACK_TIMEOUT_MS, ...options }, SEND_CODES);
  }

  async send(message: OutgoingMessage, options: CallOptions & { queue?: MessageQueue } = {}): Promise<SendResult> {
    const { properties, msgId } = outgoingProperties(message, this.#uniqKey);
    const request = { topic: message.topic, body: message.body, properties, flag: message.flag ?? 0, batch: false };
    return this.#sendTo(sendMessage, request, msgId, options);
  }

  async sendBatch(messages: readonly OutgoingMessage[], options: CallOptions & { queue?: MessageQueue } = {}): Promise<SendResult> {
    const { topic, body, msgId } = batchBody(messages, this.#uniqKey);
    return this.#sendTo(sendBatchMessage, { topic, body, properties: '', flag: 0, batch: true }, msgId, options);
  }

  async consumerConnections(
    ...[consumerGroup, brokerName, options = {}]: Parameters<RocketMQ['consumerConnections']>
  ): ReturnType<RocketMQ['consumerConnections']> {
    const address = await this.#masterOf(brokerName, options);
    const answer = await this.#toBroker(address, getConsumerConnections, { consumerGroup }, options, [
      ResponseCode.SUCCESS,
      ResponseCode.CONSUMER_NOT_ONLINE,
    ]);
    return answer.code === ResponseCode.SUCCESS ? [...getConsumerConnections.decodeAnswer(answer).connections] : [];
  }

  async consumerIds(consumerGroup: string, brokerName: string, options: CallOptions = {}): Promise<string[]> {
    const address = await this.#masterOf(brokerName, options);
    const answer = await this.#toBroker(address, getConsumerList, { consumerGroup }, options, [
      ResponseCode.SUCCESS,
      ResponseCode.SYSTEM_ERROR,
    ]);
    if (answer.code === ResponseCode.SUCCESS) return [...getConsumerList.decodeAnswer(answer)];
    // "no consumer for this group" has no code of its own.
    if (answer.remark?.startsWith('no consumer for this group') === true) return [];
    throw brokerError(getConsumerList.name, address, answer);
  }

  async checkSubscription(
    ...[consumerGroup, subscription, brokerName, options = {}]: Parameters<RocketMQ['checkSubscription']>
  ): Promise<void> {
    const address = await this.#masterOf(brokerName, options);
    await this.#toBroker(address, checkClientConfig, { clientId: PRODUCER_GROUP, group: consumerGroup, subscription }, options);
  }

  async lockQueues(...[consumerGroup, clientId, queues, options = {}]: Parameters<RocketMQ['lockQueues']>): Promise<MessageQueue[]> {
    const address = await this.#masterOf(brokerOf(queues), options);
    const answer = await this.#toBroker(
      address,
      lockQueues,
      { consumerGroup, clientId, queues },
      { timeoutMs: LOCK_TIMEOUT_MS, ...options },
    );
    return [...lockQueues.decodeAnswer(answer)];
  }

  async unlockQueues(...[consumerGroup, clientId, queues, options = {}]: Parameters<RocketMQ['unlockQueues']>): Promise<void> {
    const address = await this.#masterOf(brokerOf(queues), options);
    await this.#toBroker(address, unlockQueues, { consumerGroup, clientId, queues }, { timeoutMs: LOCK_TIMEOUT_MS, ...options });
  }

  async brokerNames(options: CallOptions = {}): Promise<string[]> {
    const brokers = getCluster.decodeAnswer(await this.#nameServers.ask(getCluster, undefined, options));
    this.#brokers.learn(brokers);
    return brokers.filter(({ brokerAddrs }) => brokerAddrs.has(MASTER_ID)).map(({ brokerName }) => brokerName);
  }

  async createTopic(...[topic, settings = {}, options = {}]: Parameters<RocketMQ['createTopic']>): Promise<void> {
    const { readQueueNums = 8, writeQueueNums = 8, perm = PERM_READ | PERM_WRITE } = settings;
    const request = {
      topic,
      defaultTopic: DEFAULT_TOPIC,
      readQueueNums,
      writeQueueNums,
      perm,
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: 0,
      order: false,
    };
    await this.#onMasters(settings.brokerNames, createTopic, request, options);
    this.#nameServers.forget(topic);
  }

  async createGroup(...[groupName, settings = {}, options = {}]: Parameters<RocketMQ['createGroup']>): Promise<void> {
    const { retryMaxTimes = 16, retryQueueNums = 1 } = settings;
    await this.#onMasters(settings.brokerNames, createGroup, { groupName, retryMaxTimes, retryQueueNums, consumeEnable: true }, options);
  }

  reset(): Promise<void> {
    return this.#pool.reset();
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #sendTo(
    definition: typeof sendMessage,
    content: Pick<SendMessageRequest, 'topic' | 'body' | 'properties' | 'flag' | 'batch'>,
    msgId: string,
    options: CallOptions & { queue?: MessageQueue },
  ): Promise<SendResult> {
    const queue = options.queue ?? (await this.#writableQueue(content.topic, options));
    const request = this.#sendRequest({ ...content, producerGroup: PRODUCER_GROUP, queueId: queue.queueId, reconsumeTimes: 0 });
    const answer = await this.#onQueue(queue, definition, request, options, SEND_CODES);
    const { msgId: offsetMsgId, queueId, queueOffset } = definition.decodeAnswer(answer);
    return { status: SEND_STATUS[answer.code] ?? 'SEND_OK', msgId, offsetMsgId, queue: { ...queue, queueId }, queueOffset };
  }

  #sendRequest(
    content: Pick<SendMessageRequest, 'topic' | 'body' | 'properties' | 'producerGroup' | 'queueId' | 'reconsumeTimes'> &
      Partial<SendMessageRequest>,
  ): SendMessageRequest {
    return {
      defaultTopic: DEFAULT_TOPIC,
      defaultTopicQueueNums: DEFAULT_TOPIC_QUEUES,
      sysFlag: 0,
      flag: 0,
      unitMode: false,
      batch: false,
      bornTimestamp: this.#now(),
      ...content,
    };
  }

  /** Round robin over the queues that may be written. */
  async #writableQueue(topic: string, options: CallOptions): Promise<MessageQueue> {
    const route = await this.topicRoute(topic, options);
    const queues = route.queues
      .filter(
        ({ perm, brokerName }) =>
          (perm & PERM_WRITE) !== 0 &&
          route.brokers.some((broker) => broker.brokerName === brokerName && broker.brokerAddrs.has(MASTER_ID)),
      )
      .flatMap(({ brokerName, writeQueueNums }) =>
        Array.from({ length: writeQueueNums }, (_, queueId) => ({ topic, brokerName, queueId })),
      );
    const next = this.#nextQueue.get(topic) ?? 0;
    this.#nextQueue.set(topic, next + 1);
    const queue = queues[next % queues.length];
    if (queue === undefined)
      throw new RocketMQError(
        'ROCKETMQ_NO_WRITABLE_QUEUE',
        `topic "${topic}" has no queue that may be written: look at its perm and at the brokers' masters`,
      );
    return queue;
  }

  /** A call to the broker of a queue. A stale route is read again, and what may be repeated is sent once more. */
  async #onQueue<Request, Answer>(
    queue: MessageQueue,
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    options: QueueCall,
    accepted: readonly number[] = SUCCESS_ONLY,
  ): Promise<RemotingCommand> {
    const { brokerId = MASTER_ID, repeatable = false } = options;
    const attempt = async (): Promise<{ answer: RemotingCommand; address: string }> => {
      if (!this.#brokers.knows(queue.brokerName)) await this.topicRoute(queue.topic, signalOf(options));
      const address = this.#brokers.announced(queue.brokerName, brokerId, definition.code === pullMessage.code);
      return { answer: await this.#exchangeAnnounced(address, definition, request, options), address };
    };
    const again = async (): Promise<boolean> => {
      if (!repeatable || options.signal?.aborted === true) return false;
      this.#nameServers.forget(queue.topic);
      await this.topicRoute(queue.topic, { ...signalOf(options), fresh: true });
      return true;
    };
    let result = await attempt().catch(async (error: unknown) => {
      if (!(error instanceof ConnectionError) || !(await again().catch(() => false))) throw error;
      return attempt();
    });
    if (!accepted.includes(result.answer.code) && responseBehaviour(result.answer.code).refreshRoute === true && (await again()))
      result = await attempt();
    if (!accepted.includes(result.answer.code)) throw brokerError(definition.name, result.address, result.answer);
    return result.answer;
  }

  /** Sends to an announced address and takes only the given codes for an answer. */
  async #toBroker<Request, Answer>(
    announced: string,
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    options: CallOptions,
    accepted: readonly number[] = SUCCESS_ONLY,
  ): Promise<RemotingCommand> {
    const answer = await this.#exchangeAnnounced(announced, definition, request, options);
    if (!accepted.includes(answer.code)) throw brokerError(definition.name, announced, answer);
    return answer;
  }

  async #exchangeAnnounced<Request, Answer>(
    announced: string,
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    options: CallOptions,
  ): Promise<RemotingCommand> {
    try {
      return await this.#exchange(this.#brokers.reachable(announced), definition, request, options);
    } catch (error) {
      if (error instanceof ConnectionError)
        throw new ConnectionError(error.address, error.message + this.#brokers.advice(announced), { cause: error });
      throw error;
    }
  }

  async #exchange<Request, Answer>(
    address: string,
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    options: CallOptions,
  ): Promise<RemotingCommand> {
    const { extFields, body } = definition.encode(request);
    const connection = await this.#pool.get(address, options.signal);
    const signed = this.#config.credentials === undefined ? extFields : signRequest(extFields, body, this.#config.credentials);
    return connection.request({ code: definition.code, extFields: signed, body }, options.timeoutMs ?? CALL_TIMEOUT_MS, options.signal);
  }

  async #masterOf(brokerName: string, options: CallOptions): Promise<string> {
    if (!this.#brokers.knows(brokerName)) await this.brokerNames(signalOf(options));
    return this.#brokers.announced(brokerName, MASTER_ID, false);
  }

  async #onMasters<Request>(
    brokerNames: readonly string[] | undefined,
    definition: RequestDefinition<Request, void>,
    request: Request,
    options: CallOptions,
  ): Promise<void> {
    const names = brokerNames ?? (await this.brokerNames(options));
    if (names.length === 0)
      throw new ConnectionError(
        this.#config.nameServers.join(';'),
        'the name servers know no broker with a master: is one running and registered?',
      );
    await Promise.all(names.map(async (name) => this.#toBroker(await this.#masterOf(name, options), definition, request, options)));
  }
}

const SUCCESS_ONLY: readonly number[] = [ResponseCode.SUCCESS];
const QUERY_CODES: readonly number[] = [ResponseCode.SUCCESS, ResponseCode.QUERY_NOT_FOUND];
const PULL_CODES: readonly number[] = [
  ResponseCode.SUCCESS,
  ResponseCode.PULL_NOT_FOUND,
  ResponseCode.PULL_RETRY_IMMEDIATELY,
  ResponseCode.PULL_OFFSET_MOVED,
];

/** With these codes the message is stored. */
const SEND_STATUS: Readonly<Record<number, SendResult['status']>> = {
  [ResponseCode.SUCCESS]: 'SEND_OK',
  [ResponseCode.FLUSH_DISK_TIMEOUT]: 'FLUSH_DISK_TIMEOUT',
  [ResponseCode.FLUSH_SLAVE_TIMEOUT]: 'FLUSH_SLAVE_TIMEOUT',
  [ResponseCode.SLAVE_NOT_AVAILABLE]: 'SLAVE_NOT_AVAILABLE',
};
const SEND_CODES: readonly number[] = Object.keys(SEND_STATUS).map(Number);

function place(queue: MessageQueue): { topic: string; queueId: number } {
  return { topic: queue.topic, queueId: queue.queueId };
}

function brokerOf(queues: readonly MessageQueue[]): string {
  const [first] = queues;
  if (first === undefined || queues.some(({ brokerName }) => brokerName !== first.brokerName))
    throw new RocketMQError('ROCKETMQ_USAGE', 'queues are locked broker by broker: give at least one, all of the same broker');
  return first.brokerName;
}

function signalOf(options: CallOptions): CallOptions {
  return options.signal === undefined ? {} : { signal: options.signal };
}
