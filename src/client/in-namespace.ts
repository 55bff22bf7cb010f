import type { MemberInfo } from '../model/membership.ts';
import type { HostAndPort, Message, UndecodableRecord } from '../model/message.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { MemberAnswers, OutgoingMessage, PullResult, RocketMQ } from '../ports/rocketmq.ts';
import { withNamespace, withoutNamespace } from '../records/namespace.ts';
import { Property } from '../records/properties.ts';
import { checkMessage, checkMessages } from './check-message.ts';

interface Resettable extends RocketMQ {
  reset(): void;
}

/**
 * A client whose caller knows topics and groups by their plain names, while brokers know them as `<namespace>%<name>`: the only place where the two
 * meet. Errors name things as brokers know them, because that is what mqadmin shows. Mirrors ClientConfig.withNamespace (namespaces of version 1).
 */
export function inNamespace(client: Resettable, namespace: string): Resettable {
  const wire = (name: string): string => withNamespace(namespace, name);
  const plain = (name: string): string => withoutNamespace(namespace, name);
  const wireTopic = <T extends { readonly topic: string }>(value: T): T => ({
    ...value,
    topic: wire(value.topic),
  });
  const plainTopic = <T extends { readonly topic: string }>(value: T): T => ({
    ...value,
    topic: plain(value.topic),
  });
  const wireGroup = <T extends { readonly consumerGroup: string }>(value: T): T => ({
    ...value,
    consumerGroup: wire(value.consumerGroup),
  });
  const wireBoth = <T extends { readonly topic: string; readonly consumerGroup: string }>(
    value: T,
  ): T => wireTopic(wireGroup(value));
  const seen = (message: Message): Message => new PlainMessage(message, plain);
  const seenRecord = (record: UndecodableRecord): UndecodableRecord =>
    record.unopened === undefined ? record : { ...record, unopened: seen(record.unopened) };
  const stored = (message: Message): Message =>
    message instanceof PlainMessage ? message.stored : message;
  const place = <T extends { queue?: MessageQueue }>(options: T): T =>
    options.queue === undefined ? options : { ...options, queue: wireTopic(options.queue) };
  const outgoing = (given: OutgoingMessage): OutgoingMessage => {
    const message = checkMessage(given);
    const own = message.properties ?? {};
    const properties = new Map(
      own instanceof Map
        ? (own as ReadonlyMap<string, string>)
        : Object.entries(own as Record<string, string>),
    );
    const retryTopic = properties.get(Property.RETRY_TOPIC);
    if (retryTopic !== undefined) properties.set(Property.RETRY_TOPIC, wire(retryTopic));
    // System topics are nobody's.
    if (wire(message.topic) !== plain(message.topic))
      properties.set(Property.INSTANCE_ID, namespace);
    return { ...wireTopic(message), properties };
  };
  const wireInfo = (info: MemberInfo): MemberInfo => ({
    ...info,
    subscriptions: info.subscriptions.map(wireTopic),
    queues: info.queues.map((queue) => ({ ...queue, queue: wireTopic(queue.queue) })),
  });
  const wireAnswers = (answers: MemberAnswers): MemberAnswers => ({
    idsChanged: (group) => answers.idsChanged(plain(group)),
    info: (group) => {
      const info = answers.info(plain(group));
      return info && wireInfo(info);
    },
    consumeDirectly: (group, message) => answers.consumeDirectly(plain(group), seen(message)),
    resetOffsets: (group, offsets) =>
      answers.resetOffsets(
        plain(group),
        offsets.map(({ queue, offset }) => ({ queue: plainTopic(queue), offset })),
      ),
  });

  return {
    topicRoute: async (topic, options) => plainTopic(await client.topicRoute(wire(topic), options)),
    async pull(request, options): Promise<PullResult> {
      const { queue, subscription } = request;
      const wired = {
        ...wireGroup(request),
        queue: wireTopic(queue),
        subscription: wireTopic(subscription),
      };
      const result = await client.pull(wired, options);
      return result.status === 'FOUND'
        ? {
            ...result,
            messages: result.messages.map(seen),
            undecodable: result.undecodable.map(seenRecord),
          }
        : result;
    },
    queryOffset: (group, queue, options) =>
      client.queryOffset(wire(group), wireTopic(queue), options),
    isOffsetStored: (group, queue, options) =>
      client.isOffsetStored(wire(group), wireTopic(queue), options),
    commitOffset: (group, queue, offset, options) =>
      client.commitOffset(wire(group), wireTopic(queue), offset, options),
    maxOffset: (queue, options) => client.maxOffset(wireTopic(queue), options),
    minOffset: (queue, options) => client.minOffset(wireTopic(queue), options),
    firstStoredAt: (queue, options) => client.firstStoredAt(wireTopic(queue), options),
    searchOffset: (queue, timestamp, options) =>
      client.searchOffset(wireTopic(queue), timestamp, options),
    async pop(request, options) {
      const result = await client.pop(
        { ...wireBoth(request), subscription: wireTopic(request.subscription) },
        options,
      );
      return {
        ...result,
        messages: result.messages.map((popped) => ({ ...popped, message: seen(popped.message) })),
        undecodable: result.undecodable.map((popped) => ({
          ...popped,
          undecodable: seenRecord(popped.undecodable),
        })),
      };
    },
    ack: (group, topic, handle, options) => client.ack(wire(group), wire(topic), handle, options),
    changeInvisibleTime: (group, topic, handle, invisibleMs, options) =>
      client.changeInvisibleTime(wire(group), wire(topic), handle, invisibleMs, options),
    hasMessages: (request, options) => client.hasMessages(wireBoth(request), options),
    sendBack: (request, options) =>
      client.sendBack({ ...wireGroup(request), originTopic: wire(request.originTopic) }, options),
    sendBackAsNormalMessage: (group, message, delayLevel, maxReconsumeTimes, options) =>
      client.sendBackAsNormalMessage(
        wire(group),
        stored(message),
        delayLevel,
        maxReconsumeTimes,
        options,
      ),
    sendDeadLetter: (group, letter, to, options) => {
      const { properties } = letter;
      const retryTopic = properties.get(Property.RETRY_TOPIC);
      const wired = new Map(properties);
      if (retryTopic !== undefined) wired.set(Property.RETRY_TOPIC, wire(retryTopic));
      const named = { ...wireTopic(letter), properties: wired };
      return client.sendDeadLetter(wire(group), named, to, options);
    },
    copyToPopRetry: (group, message, options) =>
      client.copyToPopRetry(wire(group), stored(message), options),
    sendBackTimed: (group, message, delayMs, maxReconsumeTimes, options) =>
      client.sendBackTimed(wire(group), stored(message), delayMs, maxReconsumeTimes, options),
    setAside: (group, message, aside, options) =>
      client.setAside(wire(group), stored(message), aside, options),
    async send(message, options = {}) {
      const result = await client.send(outgoing(message), place(options));
      return { ...result, queue: plainTopic(result.queue) };
    },
    async sendBatch(messages, options = {}) {
      const result = await client.sendBatch(checkMessages(messages).map(outgoing), place(options));
      return { ...result, queue: plainTopic(result.queue) };
    },
    consumerConnections: (group, brokerName, options) =>
      client.consumerConnections(wire(group), brokerName, options),
    consumerIds: (group, brokerName, options) =>
      client.consumerIds(wire(group), brokerName, options),
    memberSubscriptions: async (group, brokerName, options) =>
      (await client.memberSubscriptions(wire(group), brokerName, options)).map(plainTopic),
    heartbeat: (member, brokerName, options) =>
      client.heartbeat(
        { ...wireGroup(member), subscriptions: member.subscriptions.map(wireTopic) },
        brokerName,
        options,
      ),
    unregister: (member, brokerName, options) =>
      client.unregister(wireGroup(member), brokerName, options),
    answerBrokers: (answers) => client.answerBrokers(answers && wireAnswers(answers)),
    checkSubscription: (group, subscription, brokerName, options) =>
      client.checkSubscription(wire(group), wireTopic(subscription), brokerName, options),
    lockQueues: async (group, clientId, queues, options) =>
      (await client.lockQueues(wire(group), clientId, queues.map(wireTopic), options)).map(
        plainTopic,
      ),
    unlockQueues: (group, clientId, queues, options) =>
      client.unlockQueues(wire(group), clientId, queues.map(wireTopic), options),
    // Only what a caller can name.
    topics: async (options) =>
      (await client.topics(options)).filter((topic) => wire(plain(topic)) === topic).map(plain),
    brokerNames: (options) => client.brokerNames(options),
    brokerInfo: (brokerName, options) => client.brokerInfo(brokerName, options),
    createTopic: (topic, settings, options) => client.createTopic(wire(topic), settings, options),
    createGroup: (group, settings, options) => client.createGroup(wire(group), settings, options),
    reset: () => client.reset(),
    close: () => client.close(),
  };
}

/**
 * A message under its topic's plain name; the topic that a redelivery came from is plain, too. `Required`: a field of
 * Message that has no getter here does not compile, also an optional one.
 */
class PlainMessage implements Required<Message> {
  readonly stored: Message;
  readonly topic: string;
  readonly #plain: (name: string) => string;
  #properties: ReadonlyMap<string, string> | undefined;

  constructor(stored: Message, plain: (name: string) => string) {
    this.stored = stored;
    this.topic = plain(stored.topic);
    this.#plain = plain;
  }

  withBody(body: Buffer, sysFlag: number): this {
    const { stored } = this;
    if (!('withBody' in stored)) return this;
    const opened = (stored as PlainMessage).withBody(body, sysFlag);
    return new PlainMessage(opened, this.#plain) as this;
  }

  get properties(): ReadonlyMap<string, string> {
    if (this.#properties === undefined) {
      const retryTopic = this.stored.properties.get(Property.RETRY_TOPIC);
      this.#properties =
        retryTopic === undefined
          ? this.stored.properties
          : new Map(this.stored.properties).set(Property.RETRY_TOPIC, this.#plain(retryTopic));
    }
    return this.#properties;
  }

  get brokerName(): string {
    return this.stored.brokerName;
  }
  get queueId(): number {
    return this.stored.queueId;
  }
  get queueOffset(): bigint {
    return this.stored.queueOffset;
  }
  get commitLogOffset(): bigint {
    return this.stored.commitLogOffset;
  }
  get flag(): number {
    return this.stored.flag;
  }
  get sysFlag(): number {
    return this.stored.sysFlag;
  }
  get bornTimestamp(): number {
    return this.stored.bornTimestamp;
  }
  get bornHost(): HostAndPort {
    return this.stored.bornHost;
  }
  get storeTimestamp(): number {
    return this.stored.storeTimestamp;
  }
  get storeHost(): HostAndPort {
    return this.stored.storeHost;
  }
  get reconsumeTimes(): number {
    return this.stored.reconsumeTimes;
  }
  get preparedTransactionOffset(): bigint {
    return this.stored.preparedTransactionOffset;
  }
  get bodyCRC(): number {
    return this.stored.bodyCRC;
  }
  get storeSize(): number {
    return this.stored.storeSize;
  }
  get body(): Buffer {
    return this.stored.body;
  }
  get propertyBytes(): number | undefined {
    return this.stored.propertyBytes;
  }
  get propertyCount(): number | undefined {
    return this.stored.propertyCount;
  }
  get offsetMsgId(): string {
    return this.stored.offsetMsgId;
  }
  get msgId(): string {
    return this.stored.msgId;
  }
  get otherUniqKey(): string | undefined {
    return this.stored.otherUniqKey;
  }
}
