import { randomInt } from 'node:crypto';
import {
  BrokerError,
  ConnectionError,
  LimitExceededError,
  PermissionError,
  RocketMQError,
} from '../errors.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import { MASTER_ID, PERM_READ, PERM_WRITE, type TopicRoute } from '../model/route.ts';
import type { ClusterConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type {
  AnswerOptions,
  CallOptions,
  MemberAnswers,
  OutgoingMessage,
  OutgoingOptions,
  PullRequest,
  PullResult,
  RocketMQ,
  SendResult,
} from '../ports/rocketmq.ts';
import { createUniqKeys } from '../records/message-id.ts';
import { buildSubscription } from '../records/subscription.ts';
import { DEFAULT_LIMITS, type Limits } from '../remoting/limits.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import { ackMessage } from '../requests/ack-message.ts';
import { changeInvisibleTime } from '../requests/change-invisible-time.ts';
import { checkClientConfig } from '../requests/check-client-config.ts';
import { createGroup } from '../requests/create-group.ts';
import { createTopic } from '../requests/create-topic.ts';
import type { RequestDefinition } from '../requests/define-request.ts';
import { getAllOffsets } from '../requests/get-all-offsets.ts';
import { getBrokerInfo } from '../requests/get-broker-info.ts';
import {
  type ConsumerConnections,
  getConsumerConnections,
} from '../requests/get-consumer-connections.ts';
import { getConsumerList } from '../requests/get-consumer-list.ts';
import { getEarliestStoreTime } from '../requests/get-earliest-store-time.ts';
import { getMaxOffset } from '../requests/get-max-offset.ts';
import { getMinOffset } from '../requests/get-min-offset.ts';
import { getTopicList } from '../requests/get-topic-list.ts';
import { heartbeat } from '../requests/heartbeat.ts';
import { lockQueues, unlockQueues } from '../requests/lock-queues.ts';
import { notification } from '../requests/notification.ts';
import { popMessage } from '../requests/pop-message.ts';
import { pullMessage } from '../requests/pull-message.ts';
import { queryConsumerOffset } from '../requests/query-offset.ts';
import { searchOffset } from '../requests/search-offset.ts';
import { sendMessageBack } from '../requests/send-back.ts';
import {
  type SendMessageRequest,
  sendBatchMessage,
  sendMessage,
} from '../requests/send-message.ts';
import { unregisterClient } from '../requests/unregister-client.ts';
import { updateConsumerOffset } from '../requests/update-offset.ts';
import { AnswerSizes } from './answer-sizes.ts';
import { BrokerCalls, type CallTarget } from './broker-calls.ts';
import { brokerError } from './broker-error.ts';
import { Brokers } from './brokers.ts';
import { type ClusterOptions, checkCluster } from './check-cluster.ts';
import { checkMessage, checkMessages } from './check-message.ts';
import type { ServerRequestHandler } from './connection.ts';
import { ConnectionPool } from './connection-pool.ts';
import { DialRules } from './dial-rules.ts';
import { exchangeOver, type RenewCredentials } from './exchange.ts';
import { inNamespace } from './in-namespace.ts';
import { answerMemberRequest } from './member-answers.ts';
import { NameServers } from './name-servers.ts';
import {
  DEFAULT_TOPIC,
  deadLetterMessage,
  normalRetryMessage,
  type Outgoing,
  outgoingBatch,
  outgoingMessage,
  popRetryMessage,
  queueOfKey,
  SEND_CODES,
  sendStatus,
  setAsideMessage,
  timedRetryMessage,
  wireDelayLevel,
  wireMaxReconsumeTimes,
  writableQueues,
} from './outgoing.ts';
import { BROKERS_CLOCK, POP_CODES, readPopAnswer, wirePop, wirePopped } from './popping.ts';
import { PROGRAM_CLOCK } from './program-clock.ts';
import { PULL_CODES, pullTimeout, readPullAnswer, wirePull } from './pulling.ts';
import { firstAtOrAfter } from './search-by-time.ts';

/** Java's timeouts for offset requests and send-back, and for locks; all others take 3 s. */
const OFFSET_TIMEOUT_MS = 5000;
/** MQVersion V5_0_0: from here on there are timers. */
const VERSION_5_0_0 = 413;
/** The group of RocketMQ's own tools, which every broker has. */
const TOOLS_GROUP = 'TOOLS_CONSUMER';
const SEND_BACK_TIMEOUT_MS = 5000;
const LOCK_TIMEOUT_MS = 1000;
/** Beyond the time that a pop or notification poll asks for. */
const POLL_SLACK_MS = 5000;

const CHECKING_CLIENT_ID = 'serverless-rocketmq';

/** All optional: tests bring their own time, randomness and bounds. */
export interface ClientDeps {
  readonly clock?: Clock;
  /** 0 ≤ r < 1 */
  readonly random?: () => number;
  readonly limits?: Limits;
  readonly logger?: Logger;
  readonly onServerRequest?: ServerRequestHandler;
  /** Asked when credentials were refused; a request is sent again once when there are newer ones. */
  readonly renewCredentials?: RenewCredentials;
}

export interface RocketMQClient extends RocketMQ {
  /** Drops every connection and keeps the client: for an environment that slept, whose sockets may be dead. What is in flight fails. */
  reset(): void;
}

/**
 * A client of one cluster: one connection per address, brokers found through the name servers' routes. Connects when first used.
 * @throws ConfigError for options that are missing, misspelt or not valid; the message names the field
 */
export function createRocketMQClient(
  options: ClusterOptions,
  deps: ClientDeps = {},
): RocketMQClient {
  const config: ClusterConfig = checkCluster(options);
  const client = new Client(config, deps);
  return config.namespace === undefined ? client : inNamespace(client, config.namespace);
}

class Client implements RocketMQClient {
  readonly #nameServers: NameServers;
  readonly #pool: ConnectionPool;
  readonly #calls: BrokerCalls;
  readonly #limits: Limits;
  readonly #answerSizes = new AnswerSizes();
  readonly #now: () => number;
  readonly #uniqKey: () => string;
  #answers: MemberAnswers | undefined;
  /** Topic → how many sends chose their queue themselves. */
  readonly #sends = new Map<string, number>();

  constructor(
    config: ClusterConfig,
    {
      clock = PROGRAM_CLOCK,
      random = Math.random,
      limits = DEFAULT_LIMITS,
      logger,
      onServerRequest,
      renewCredentials,
    }: ClientDeps,
  ) {
    this.#limits = limits;
    this.#now = () => clock.now();
    this.#pool = new ConnectionPool({
      tls: config.tls,
      rules: new DialRules(config),
      options: {
        maxFrameBytes: limits.maxFrameBytes,
        now: this.#now,
        onServerRequest: async (command, address) =>
          (this.#answers && (await answerMemberRequest(this.#answers, command, limits))) ??
          onServerRequest?.(command, address),
      },
      clock,
      random,
      logger,
    });
    const exchange = exchangeOver(this.#pool, config.credentials, clock, renewCredentials);
    this.#nameServers = new NameServers({
      addresses: config.nameServers,
      exchange,
      clock,
      random,
      logger,
    });
    this.#calls = new BrokerCalls({
      exchange,
      nameServers: this.#nameServers,
      brokers: new Brokers(config.addressMap),
      now: this.#now,
      logger,
    });
    this.#uniqKey = createUniqKeys({
      address: '127.0.0.1',
      pid: process.pid,
      random: randomInt(0xffffffff),
      now: this.#now,
    });
  }

  topicRoute(topic: string, options: CallOptions & { fresh?: boolean } = {}): Promise<TopicRoute> {
    return this.#calls.route(topic, options);
  }

  /** An answer over the frame limit is asked for again with fewer messages; one message that does not fit throws LimitExceededError. */
  async pull(request: PullRequest, options: AnswerOptions = {}): Promise<PullResult> {
    const key = queueKey(request.queue);
    for (;;) {
      const maxMessages = this.#answerSizes.ask(key, request.maxMessages);
      try {
        const result = await this.#pullOnce({ ...request, maxMessages }, options);
        if (result.status === 'FOUND') this.#answerSizes.fitted(key, request.maxMessages);
        return result;
      } catch (error) {
        if (!(error instanceof LimitExceededError)) throw error;
        this.#answerSizes.tooLarge(key, maxMessages);
        if (maxMessages <= 1) throw error;
      }
    }
  }

  async #pullOnce(request: PullRequest, options: AnswerOptions): Promise<PullResult> {
    const { queue, brokerId = MASTER_ID } = request;
    const rules = {
      timeoutMs: pullTimeout(request),
      ...options,
      accepted: PULL_CODES,
      repeatable: true,
    };
    const target = { ...brokerOf(queue), brokerId, orAny: true };
    return readPullAnswer(
      await this.#calls.call(target, pullMessage, wirePull(request), rules),
      request,
      this.#limits,
    );
  }

  async queryOffset(
    consumerGroup: string,
    queue: MessageQueue,
    options: CallOptions = {},
  ): Promise<bigint | undefined> {
    // Without the switch a broker answers 0 for a young queue that has no offset, and LATEST would start at its beginning.
    const request = { consumerGroup, ...place(queue), setZeroIfNotFound: false };
    const accepted = [ResponseCode.SUCCESS, ResponseCode.QUERY_NOT_FOUND];
    const rules = { timeoutMs: OFFSET_TIMEOUT_MS, ...options, accepted, repeatable: true };
    const answer = await this.#calls.call(brokerOf(queue), queryConsumerOffset, request, rules);
    return answer.code === ResponseCode.QUERY_NOT_FOUND
      ? undefined
      : queryConsumerOffset.decodeAnswer(answer);
  }

  async isOffsetStored(
    consumerGroup: string,
    queue: MessageQueue,
    options: CallOptions = {},
  ): Promise<boolean> {
    if ((this.#calls.versionOf(queue.brokerName) ?? VERSION_5_0_0) >= VERSION_5_0_0) return true;
    const table = await this.#read(queue, getAllOffsets, undefined, options);
    return table.get(`${queue.topic}@${consumerGroup}`)?.has(queue.queueId) ?? false;
  }

  async commitOffset(
    ...[consumerGroup, queue, offset, options = {}]: Parameters<RocketMQ['commitOffset']>
  ): Promise<{ resetPending: boolean }> {
    const request = { consumerGroup, ...place(queue), commitOffset: offset };
    const rules = { timeoutMs: OFFSET_TIMEOUT_MS, ...options };
    return updateConsumerOffset.decodeAnswer(
      await this.#calls.call(brokerOf(queue), updateConsumerOffset, request, rules),
    );
  }

  async maxOffset(queue: MessageQueue, options: CallOptions = {}): Promise<bigint> {
    return this.#read(queue, getMaxOffset, place(queue), options);
  }

  async minOffset(queue: MessageQueue, options: CallOptions = {}): Promise<bigint> {
    return this.#read(queue, getMinOffset, place(queue), options);
  }

  firstStoredAt(queue: MessageQueue, options: CallOptions = {}): Promise<number | undefined> {
    return this.#read(queue, getEarliestStoreTime, place(queue), options);
  }

  async searchOffset(
    queue: MessageQueue,
    timestamp: number,
    options: CallOptions = {},
  ): Promise<bigint> {
    const time = Math.trunc(timestamp);
    const found = await this.#search(queue, time, options);
    if ((this.#calls.versionOf(queue.brokerName) ?? VERSION_5_0_0) >= VERSION_5_0_0) return found;
    try {
      return await this.#refineSearch(queue, time, found, options);
    } catch (error) {
      if (!(error instanceof PermissionError)) throw error;
      // Without the right to read: the nearest message to the millisecond before is never too late.
      return this.#search(queue, time - 1, options);
    }
  }

  #search(queue: MessageQueue, timestamp: number, options: CallOptions): Promise<bigint> {
    const request = { ...place(queue), timestamp: BigInt(timestamp) };
    return this.#read(queue, searchOffset, request, options);
  }

  /** Brokers before 5.0 answer the message nearest to the time, and any of those that have the time. */
  async #refineSearch(
    queue: MessageQueue,
    timestamp: number,
    found: bigint,
    options: CallOptions,
  ): Promise<bigint> {
    const [min, max] = await Promise.all([
      this.minOffset(queue, options),
      this.maxOffset(queue, options),
    ]);
    const request = {
      ...{ consumerGroup: TOOLS_GROUP, queue, subscription: buildSubscription(queue.topic, '*') },
      ...{ maxMessages: 1, suspendMs: 0 },
    };
    return firstAtOrAfter(timestamp, found, { min, max }, async (offset) => {
      const result = await this.pull({ ...request, offset }, options);
      const [message] = result.status === 'FOUND' ? result.messages : [];
      return message?.queueOffset === offset ? message.storeTimestamp : undefined;
    });
  }

  async pop(...[request, options = {}]: Parameters<RocketMQ['pop']>): ReturnType<RocketMQ['pop']> {
    // Not repeatable: the messages of a lost answer stay invisible for their time.
    const rules = { timeoutMs: request.pollMs + POLL_SLACK_MS, ...options, accepted: POP_CODES };
    const key = `${request.topic}@${request.brokerName}`;
    const maxMessages = this.#answerSizes.ask(key, request.maxMessages);
    const wire = wirePop({ ...request, maxMessages });
    try {
      const answer = await this.#calls.call(topicAt(request), popMessage, wire, rules);
      this.#answerSizes.fitted(key, request.maxMessages);
      return readPopAnswer(answer, request, this.#limits);
    } catch (error) {
      // What was popped comes again after its time; the next pop asks for fewer.
      if (error instanceof LimitExceededError) this.#answerSizes.tooLarge(key, maxMessages);
      throw error;
    }
  }

  async ack(
    ...[consumerGroup, topic, handle, options = {}]: Parameters<RocketMQ['ack']>
  ): Promise<void> {
    const target = topicAt({ topic, brokerName: handle.brokerName });
    await this.#calls.call(target, ackMessage, wirePopped(consumerGroup, topic, handle), {
      ...options,
      repeatable: true,
    });
  }

  async changeInvisibleTime(
    ...[consumerGroup, topic, handle, invisibleTime, options = {}]: Parameters<
      RocketMQ['changeInvisibleTime']
    >
  ): ReturnType<RocketMQ['changeInvisibleTime']> {
    const request = { ...wirePopped(consumerGroup, topic, handle), invisibleTime };
    const target = topicAt({ topic, brokerName: handle.brokerName });
    const answer = changeInvisibleTime.decodeAnswer(
      await this.#calls.call(target, changeInvisibleTime, request, options),
    );
    return { ...handle, ...answer, ckQueueOffset: handle.queueOffset };
  }

  async hasMessages(
    ...[request, options = {}]: Parameters<RocketMQ['hasMessages']>
  ): Promise<boolean> {
    const { consumerGroup, topic, pollMs } = request;
    const rules = { timeoutMs: pollMs + POLL_SLACK_MS, ...options, repeatable: true };
    const wire = { consumerGroup, topic, queueId: -1, pollTime: pollMs, bornTime: BROKERS_CLOCK };
    return notification.decodeAnswer(
      await this.#calls.call(topicAt(request), notification, wire, rules),
    ).hasMsg;
  }

  async sendBack(...[request, options = {}]: Parameters<RocketMQ['sendBack']>): Promise<void> {
    const { consumerGroup, brokerName, commitLogOffset, delayLevel, originMsgId, originTopic } =
      request;
    const maxReconsumeTimes = wireMaxReconsumeTimes(request.maxReconsumeTimes);
    const wire = {
      group: consumerGroup,
      offset: commitLogOffset,
      delayLevel: wireDelayLevel(delayLevel),
      // Without the field, 5.x fails at the limit.
      originMsgId: originMsgId ?? '',
      originTopic,
      unitMode: false,
      maxReconsumeTimes,
    };
    const rules = { timeoutMs: SEND_BACK_TIMEOUT_MS, ...options };
    try {
      await this.#calls.call({ brokerName }, sendMessageBack, wire, rules);
    } catch (error) {
      if (!isStoredAllTheSame(error)) throw error;
    }
  }

  async sendBackAsNormalMessage(
    ...[consumerGroup, message, delayLevel, maxReconsumeTimes, options = {}]: Parameters<
      RocketMQ['sendBackAsNormalMessage']
    >
  ): Promise<void> {
    const request = normalRetryMessage(
      consumerGroup,
      message,
      delayLevel,
      maxReconsumeTimes,
      message.bornTimestamp,
      options.localRetries,
    );
    await this.#storeAgain(message, request, options);
  }

  async sendDeadLetter(
    ...[consumerGroup, letter, to, options = {}]: Parameters<RocketMQ['sendDeadLetter']>
  ): Promise<void> {
    const request = deadLetterMessage(consumerGroup, letter, to, this.#now());
    await this.#storeAgain(letter, request, options);
  }

  async copyToPopRetry(
    ...[consumerGroup, message, options = {}]: Parameters<RocketMQ['copyToPopRetry']>
  ): Promise<void> {
    const request = popRetryMessage(consumerGroup, message);
    await this.#storeAgain(message, request, options);
  }

  async setAside(
    ...[consumerGroup, message, aside, options = {}]: Parameters<RocketMQ['setAside']>
  ): Promise<void> {
    const request = setAsideMessage(consumerGroup, message, aside, options.localRetries);
    await this.#storeAgain(message, request, options);
  }

  async sendBackTimed(
    ...[consumerGroup, message, delayMs, maxReconsumeTimes, options = {}]: Parameters<
      RocketMQ['sendBackTimed']
    >
  ): Promise<boolean> {
    const { brokerName } = message;
    if ((this.#calls.versionOf(brokerName) ?? 0) < VERSION_5_0_0) return false;
    const request = timedRetryMessage(
      consumerGroup,
      message,
      delayMs,
      maxReconsumeTimes,
      options.localRetries,
    );
    await this.#storeAgain(message, request, options);
    return true;
  }

  /** Sends what a broker had stored to that broker. */
  async #storeAgain(
    { brokerName }: CallTarget,
    request: SendMessageRequest,
    options: CallOptions,
  ): Promise<void> {
    const rules = { timeoutMs: SEND_BACK_TIMEOUT_MS, ...options, accepted: SEND_CODES };
    await this.#calls.call({ brokerName }, sendMessage, request, rules);
  }

  async send(message: OutgoingMessage, options: OutgoingOptions = {}): Promise<SendResult> {
    const { forwarded = false, ...others } = options;
    const checked = checkMessage(message);
    const outgoing = outgoingMessage(checked, this.#uniqKey, forwarded);
    return this.#sendTo(checked.topic, sendMessage, outgoing, others);
  }

  async sendBatch(
    messages: readonly OutgoingMessage[],
    options: CallOptions & { queue?: MessageQueue } = {},
  ): Promise<SendResult> {
    const checked = checkMessages(messages);
    const batch = outgoingBatch(checked, this.#uniqKey, options.queue !== undefined);
    const { topic } = checked[0] as OutgoingMessage;
    return this.#sendTo(topic, sendBatchMessage, batch, options);
  }

  async consumerConnections(
    ...[consumerGroup, brokerName, options = {}]: Parameters<RocketMQ['consumerConnections']>
  ): ReturnType<RocketMQ['consumerConnections']> {
    return [...((await this.#members(consumerGroup, brokerName, options))?.connections ?? [])];
  }

  async consumerIds(
    consumerGroup: string,
    brokerName: string,
    options: CallOptions = {},
  ): Promise<string[]> {
    const rules = {
      ...options,
      accepted: [ResponseCode.SUCCESS, ResponseCode.SYSTEM_ERROR],
      repeatable: true,
    };
    const answer = await this.#calls.call(
      { brokerName },
      getConsumerList,
      { consumerGroup },
      rules,
    );
    if (answer.code === ResponseCode.SUCCESS) return [...getConsumerList.decodeAnswer(answer)];
    // An empty group has no code of its own.
    if (answer.remark?.startsWith('no consumer for this group') === true) return [];
    throw brokerError(getConsumerList.name, brokerName, answer);
  }

  async memberSubscriptions(
    ...[consumerGroup, brokerName, options = {}]: Parameters<RocketMQ['memberSubscriptions']>
  ): ReturnType<RocketMQ['memberSubscriptions']> {
    return [...((await this.#members(consumerGroup, brokerName, options))?.subscriptions ?? [])];
  }

  async heartbeat(
    ...[member, brokerName, options = {}]: Parameters<RocketMQ['heartbeat']>
  ): Promise<void> {
    const { clientId, consumerGroup: groupName, ...consumer } = member;
    const request = {
      clientId,
      consumers: [{ groupName, consumeType: 'CONSUME_PASSIVELY', ...consumer }],
    };
    await this.#calls.call({ brokerName }, heartbeat, request, { ...options, repeatable: true });
  }

  async unregister(
    ...[{ clientId, consumerGroup }, brokerName, options = {}]: Parameters<RocketMQ['unregister']>
  ): Promise<void> {
    await this.#calls.call(
      { brokerName },
      unregisterClient,
      { clientID: clientId, consumerGroup },
      options,
    );
  }

  answerBrokers(answers: MemberAnswers | undefined): void {
    this.#answers = answers;
  }

  async checkSubscription(
    ...[consumerGroup, subscription, brokerName, options = {}]: Parameters<
      RocketMQ['checkSubscription']
    >
  ): Promise<void> {
    const request = { clientId: CHECKING_CLIENT_ID, group: consumerGroup, subscription };
    await this.#calls.call({ brokerName }, checkClientConfig, request, {
      ...options,
      repeatable: true,
    });
  }

  async lockQueues(
    ...[consumerGroup, clientId, queues, options = {}]: Parameters<RocketMQ['lockQueues']>
  ): Promise<MessageQueue[]> {
    const rules = { timeoutMs: LOCK_TIMEOUT_MS, ...options, repeatable: true };
    const answer = await this.#calls.call(
      commonBroker(queues),
      lockQueues,
      { consumerGroup, clientId, queues },
      rules,
    );
    return [...lockQueues.decodeAnswer(answer)];
  }

  async unlockQueues(
    ...[consumerGroup, clientId, queues, options = {}]: Parameters<RocketMQ['unlockQueues']>
  ): Promise<void> {
    const rules = { timeoutMs: LOCK_TIMEOUT_MS, ...options, repeatable: true };
    await this.#calls.call(
      commonBroker(queues),
      unlockQueues,
      { consumerGroup, clientId, queues },
      rules,
    );
  }

  async topics(options: CallOptions = {}): Promise<string[]> {
    return [
      ...(await this.#nameServers.ask(getTopicList, undefined, options, (answer) =>
        getTopicList.decodeAnswer(answer),
      )),
    ];
  }

  async brokerNames(options: CallOptions = {}): Promise<string[]> {
    const brokers = await this.#calls.cluster(options);
    return brokers
      .filter(({ brokerAddrs }) => brokerAddrs.has(MASTER_ID))
      .map(({ brokerName }) => brokerName);
  }

  async brokerInfo(
    brokerName: string,
    options: CallOptions = {},
  ): Promise<ReadonlyMap<string, string>> {
    return getBrokerInfo.decodeAnswer(
      await this.#calls.call({ brokerName }, getBrokerInfo, undefined, {
        ...options,
        repeatable: true,
      }),
    );
  }

  async createTopic(
    ...[topic, settings = {}, options = {}]: Parameters<RocketMQ['createTopic']>
  ): Promise<void> {
    const { readQueueNums = 8, writeQueueNums = 8, perm = PERM_READ | PERM_WRITE } = settings;
    const kind = {
      defaultTopic: DEFAULT_TOPIC,
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: 0,
      order: false,
    };
    await this.#onMasters(
      settings.brokerNames,
      createTopic,
      { topic, readQueueNums, writeQueueNums, perm, ...kind },
      options,
    );
    this.#nameServers.forget(topic);
  }

  async createGroup(
    ...[groupName, settings = {}, options = {}]: Parameters<RocketMQ['createGroup']>
  ): Promise<void> {
    const { retryMaxTimes = 16, retryQueueNums = 1 } = settings;
    await this.#onMasters(
      settings.brokerNames,
      createGroup,
      { groupName, retryMaxTimes, retryQueueNums, consumeEnable: true },
      options,
    );
  }

  reset(): void {
    this.#pool.reset();
  }

  async close(): Promise<void> {
    this.#pool.close();
  }

  async #members(
    consumerGroup: string,
    brokerName: string,
    options: CallOptions,
  ): Promise<ConsumerConnections | undefined> {
    const rules = {
      ...options,
      accepted: [ResponseCode.SUCCESS, ResponseCode.CONSUMER_NOT_ONLINE],
      repeatable: true,
    };
    const answer = await this.#calls.call(
      { brokerName },
      getConsumerConnections,
      { consumerGroup },
      rules,
    );
    return answer.code === ResponseCode.SUCCESS
      ? getConsumerConnections.decodeAnswer(answer)
      : undefined;
  }

  async #read<Request, Answer>(
    queue: MessageQueue,
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    options: CallOptions,
  ): Promise<Answer> {
    return definition.decodeAnswer(
      await this.#calls.call(brokerOf(queue), definition, request, {
        ...options,
        repeatable: true,
      }),
    );
  }

  async #sendTo(
    topic: string,
    definition: typeof sendMessage,
    outgoing: Outgoing,
    { orderKey = outgoing.shardingKey, ...options }: OutgoingOptions,
  ): Promise<SendResult> {
    // Asked for even when the queue is given: a broker may make an unknown topic by itself, which a misspelt name would do.
    const route = await this.topicRoute(topic, options);
    const queue = options.queue ?? this.#queueFor(route, orderKey);
    const request = outgoing.request(queue.queueId, this.#now());
    const answer = await this.#calls.call(brokerOf(queue), definition, request, {
      ...options,
      accepted: SEND_CODES,
    });
    const { msgId: offsetMsgId, queueId, queueOffset } = definition.decodeAnswer(answer);
    return {
      status: sendStatus(answer.code),
      msgId: outgoing.msgId,
      offsetMsgId,
      queue: { ...queue, queueId },
      queueOffset,
    };
  }

  /** By key, or round robin. */
  #queueFor(route: TopicRoute, key: string | undefined): MessageQueue {
    const queues = writableQueues(route);
    const sends = this.#sends.get(route.topic) ?? 0;
    if (key === undefined) this.#sends.set(route.topic, sends + 1);
    const queue = key === undefined ? queues[sends % queues.length] : queueOfKey(queues, key);
    if (queue === undefined)
      throw new RocketMQError(
        'ROCKETMQ_NO_WRITABLE_QUEUE',
        `topic "${route.topic}" has no queue that may be written: look at its perm and at the brokers' masters`,
      );
    return queue;
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
        'name servers',
        'the name servers know no broker with a master: is one running, and registered with them?',
      );
    await Promise.all(
      names.map((brokerName) =>
        this.#calls.call({ brokerName }, definition, request, { ...options, repeatable: true }),
      ),
    );
  }
}

/** Request 36 answers SYSTEM_ERROR with the status of the write, also where only flushing or copying the stored message was late. */
function isStoredAllTheSame(error: unknown): boolean {
  return (
    error instanceof BrokerError &&
    error.responseCode === ResponseCode.SYSTEM_ERROR &&
    /^(FLUSH_DISK_TIMEOUT|FLUSH_SLAVE_TIMEOUT|SLAVE_NOT_AVAILABLE)$/.test(error.remark ?? '')
  );
}

function place({ topic, queueId }: MessageQueue): { topic: string; queueId: number } {
  return { topic, queueId };
}

function brokerOf({ brokerName, topic }: MessageQueue): CallTarget {
  return { brokerName, topic };
}

function topicAt({ topic, brokerName }: { topic: string; brokerName: string }): CallTarget {
  return { topic, brokerName };
}

function commonBroker(queues: readonly MessageQueue[]): CallTarget {
  const [first] = queues;
  if (first === undefined || queues.some(({ brokerName }) => brokerName !== first.brokerName))
    throw new RocketMQError(
      'ROCKETMQ_USAGE',
      'queues are locked broker by broker: give at least one, all of the same broker',
    );
  return { brokerName: first.brokerName };
}
