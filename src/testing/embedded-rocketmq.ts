import type { RequestCode } from '../remoting/request-code.ts';
import { DEFAULT_DELAY_LEVELS, parseDelayLevels } from './broker/delay-schedule.ts';
import { subscriptionGroup } from './broker/group-table.ts';
import { deleteTopic } from './broker/handlers/admin.ts';
import type { MessageToStore } from './broker/message-store.ts';
import { topicConfig } from './broker/topic-table.ts';
import type { Control, ControlHandle, ControlOptions } from './controls.ts';
import { createControls } from './controls.ts';
import { answerFromNameServer } from './name-server.ts';
import type { RunningBroker } from './running-broker.ts';
import { controlled, createRunningBroker } from './running-broker.ts';
import { listen } from './tcp-server.ts';

/** The server name that controls see and choose for requests to the name server. */
const NAME_SERVER = 'name-server';

/** "PULL_MESSAGE", "HEART_BEAT", …: the names of RocketMQ's RequestCode. */
export type RequestName = keyof typeof RequestCode;

/** All optional; defaults are those of RocketMQ 5.5.0 where it has any. Times in milliseconds. */
export interface EmbeddedRocketMQOptions {
  /** How many (named broker-a, broker-b, …) or which. Default 1. */
  readonly brokers?: number | readonly string[];
  readonly cluster?: string;
  /** Where all servers listen and what brokers announce. Default 127.0.0.1. */
  readonly host?: string;
  /** The name server's port; brokers take free ones unless `brokerPort` is set. Default 0: any free port. */
  readonly port?: number;
  /** The first broker's port; the others follow in steps of 1. */
  readonly brokerPort?: number;
  readonly messageDelayLevel?: string;
  readonly autoCreateTopic?: boolean;
  readonly autoCreateSubscriptionGroup?: boolean;
  readonly defaultTopicQueueNums?: number;
  /** How often held pulls are looked at. The real broker's 5000 cannot be changed; tests may shorten it here. */
  readonly longPollTickMs?: number;
  /** Life of a queue lock without renewal. Default 60,000. */
  readonly lockMaxLiveMs?: number;
  /** A member that sends no heartbeat for so long is cut off. Default 120,000. */
  readonly channelExpiredMs?: number;
}

/** A stored message as tests like to see it. */
export interface InspectedMessage {
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  readonly queueOffset: bigint;
  readonly commitLogOffset: bigint;
  /** As stored: compressed when sysFlag says so. */
  readonly body: Buffer;
  readonly tags: string | undefined;
  readonly properties: ReadonlyMap<string, string>;
  readonly reconsumeTimes: number;
  readonly bornTimestamp: number;
  readonly storeTimestamp: number;
  readonly offsetMsgId: string;
}

interface QueueName {
  readonly topic: string;
  readonly queueId: number;
  /** The first broker when absent. */
  readonly brokerName?: string;
}

export interface EmbeddedRocketMQ extends AsyncDisposable {
  /** `host:port`, as clients want it. */
  readonly nameServers: string[];
  readonly brokers: readonly {
    readonly name: string;
    readonly address: string;
    readonly running: boolean;
  }[];
  /**
   * Puts a control in front of a kind of request: fail, delay, drop, observe, hold. `request` is a name, a code or "*". It takes one request
   * unless `times` says more; the latest control is asked first.
   */
  control(
    request: RequestName | '*' | (number & {}),
    control: Control,
    options?: ControlOptions,
  ): ControlHandle;
  /** On the named brokers, by default on all; replaces what is there. */
  createTopic(
    topic: string,
    settings?: { queues?: number; perm?: number; brokers?: readonly string[] },
  ): void;
  /**
   * On every broker, as `mqadmin deleteTopic` does it: the messages and the offsets that groups have in the topic go with
   * it. A topic that is created again under the name begins at offset 0.
   */
  deleteTopic(topic: string): void;
  createGroup(
    group: string,
    settings?: { retryMaxTimes?: number; retryQueueNums?: number; brokers?: readonly string[] },
  ): void;
  /** All messages of a topic, broker by broker and queue by queue. */
  messages(topic: string): InspectedMessage[];
  /** The committed offset, or undefined. */
  offset(group: string, queue: QueueName): bigint | undefined;
  /** Every offset of the group is lost, as with a broker's consumerOffset.json. */
  forgetOffsets(group: string): void;
  /** The next offset to be written. */
  maxOffset(queue: QueueName): bigint;
  /** Client ids of a group, one per connection. */
  members(group: string): string[];
  /** Pulls that wait for a message now. */
  heldPulls(): number;
  /** Deletes a queue's messages before an offset, as the broker does with old files. */
  expireMessages(queue: QueueName, before: bigint): void;
  /** Cuts the broker's connections; it vanishes from the routes and keeps its messages, topics, groups and offsets. */
  stopBroker(name: string): Promise<void>;
  startBroker(name: string): Promise<void>;
  stop(): Promise<void>;
}

function brokerNames(brokers: number | readonly string[]): readonly string[] {
  if (typeof brokers !== 'number') return brokers;
  return Array.from(
    { length: brokers },
    (_, index) =>
      `broker-${String.fromCharCode(97 + (index % 26))}${index < 26 ? '' : Math.floor(index / 26)}`,
  );
}

function createBrokers(
  options: EmbeddedRocketMQOptions,
  controls: ReturnType<typeof createControls>,
): Map<string, RunningBroker> {
  const delayLevels = parseDelayLevels(options.messageDelayLevel ?? DEFAULT_DELAY_LEVELS);
  const settings = {
    cluster: options.cluster ?? 'DefaultCluster',
    host: options.host ?? '127.0.0.1',
    delayLevels,
    autoCreateTopic: options.autoCreateTopic ?? true,
    autoCreateSubscriptionGroup: options.autoCreateSubscriptionGroup ?? true,
    defaultTopicQueueNums: options.defaultTopicQueueNums ?? 8,
    longPollTickMs: options.longPollTickMs ?? 5000,
    lockMaxLiveMs: options.lockMaxLiveMs ?? 60_000,
    channelExpiredMs: options.channelExpiredMs ?? 120_000,
  };
  const port = (index: number) => (options.brokerPort ? options.brokerPort + index : 0);
  return new Map(
    brokerNames(options.brokers ?? 1).map((brokerName, index) => [
      brokerName,
      createRunningBroker(controls, { ...settings, brokerName, port: port(index) }),
    ]),
  );
}

/**
 * A name server and brokers in this process, on loopback TCP, speaking RocketMQ's remoting protocol as 5.5.0 does; a contract suite holds the two equal.
 * Everything is in memory. What it has not: transactions, pop, SQL92 filters, slaves, ACL, timer messages, files.
 */
export async function startEmbeddedRocketMQ(
  options: EmbeddedRocketMQOptions = {},
): Promise<EmbeddedRocketMQ> {
  const controls = createControls();
  const brokers = createBrokers(options, controls);
  const all = [...brokers.values()];

  function named(name: string | undefined): RunningBroker {
    const broker = name === undefined ? all[0] : brokers.get(name);
    if (broker === undefined)
      throw new RangeError(
        `there is no broker ${name}: this cluster has ${[...brokers.keys()].join(', ')}`,
      );
    return broker;
  }
  const chosen = (names: readonly string[] | undefined) => names?.map(named) ?? all;
  const stateOf = (name: string | undefined) => named(name).broker.state;

  await Promise.all(all.map((broker) => broker.start()));
  const host = options.host ?? '127.0.0.1';
  const nameServer = await listen({
    host,
    port: options.port ?? 0,
    onRequest: controlled(controls, NAME_SERVER, (command, _connection, answer) =>
      answer(
        answerFromNameServer(
          all.filter((broker) => broker.running),
          command,
        ),
      ),
    ),
    onClose: () => {},
  });

  async function stop(): Promise<void> {
    await Promise.all([nameServer.close(), ...all.map((broker) => broker.stop())]);
  }

  return {
    nameServers: [`${host}:${nameServer.port}`],
    get brokers() {
      return all.map(({ brokerName, address, running }) => ({
        name: brokerName,
        address,
        running,
      }));
    },
    control: controls.add,
    createTopic(topic, { queues = 4, perm, brokers: names } = {}) {
      for (const { broker } of chosen(names))
        broker.state.topics.put(topicConfig(topic, queues, perm));
    },
    deleteTopic(topic) {
      for (const { broker } of all) deleteTopic(broker.state, topic);
    },
    createGroup(group, { brokers: names, ...settings } = {}) {
      for (const { broker } of chosen(names))
        broker.state.groups.put(subscriptionGroup(group, settings));
    },
    messages: (topic) =>
      all.flatMap(({ brokerName, broker }) =>
        broker.state.store.all(topic).map((message) => inspect(brokerName, message)),
      ),
    offset: (group, { topic, queueId, brokerName }) =>
      stateOf(brokerName).offsets.get(group, topic, queueId),
    forgetOffsets(group) {
      for (const { broker } of all) broker.state.offsets.forgetGroup(group);
    },
    maxOffset: ({ topic, queueId, brokerName }) =>
      BigInt(stateOf(brokerName).store.maxOffset(topic, queueId)),
    members: (group) =>
      all.flatMap(({ broker }) =>
        [...(broker.state.members.get(group)?.channels.values() ?? [])].map(
          (member) => member.clientId,
        ),
      ),
    heldPulls: () => all.reduce((sum, { broker }) => sum + broker.state.held.size, 0),
    expireMessages: ({ topic, queueId, brokerName }, before) =>
      stateOf(brokerName).store.trim(topic, queueId, Number(before)),
    stopBroker: (name) => named(name).stop(),
    startBroker: (name) => named(name).start(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

type Stored = MessageToStore &
  Pick<InspectedMessage, 'storeTimestamp' | 'offsetMsgId'> & {
    readonly queueOffset: number;
    readonly physicalOffset: number;
  };

function inspect(brokerName: string, message: Stored): InspectedMessage {
  const {
    topic,
    queueId,
    body,
    properties,
    reconsumeTimes,
    bornTimestamp,
    storeTimestamp,
    offsetMsgId,
  } = message;
  return {
    topic,
    brokerName,
    queueId,
    queueOffset: BigInt(message.queueOffset),
    commitLogOffset: BigInt(message.physicalOffset),
    body,
    tags: properties.get('TAGS'),
    properties,
    reconsumeTimes,
    bornTimestamp,
    storeTimestamp,
    offsetMsgId,
  };
}
