import { type Broker, createBroker } from '../../src/testing/broker/broker.ts';
import { DEFAULT_DELAY_LEVELS, parseDelayLevels } from '../../src/testing/broker/delay-schedule.ts';
import { subscriptionGroup } from '../../src/testing/broker/group-table.ts';
import type { MessageToStore, StoredMessage } from '../../src/testing/broker/message-store.ts';
import { topicConfig } from '../../src/testing/broker/topic-table.ts';
import { answerFromNameServer, type RegisteredBroker } from '../../src/testing/name-server.ts';
import { runAs } from '../kernel/globals.ts';
import { createHost, type Host, type Scheduler } from '../kernel/scheduler.ts';
import type { Network, SimulatedServer } from './network.ts';
import { PopBroker, type PopObserver } from './pop.ts';

export const NAME_SERVER = '10.1.0.1:9876';
/** How long a real broker takes until name servers have it again. */
const REGISTERS_AFTER_MS = 500;
/** As often ConsumerOffsetManager writes its file. */
const PERSIST_MS = 5_000;

/** What the checks are told of a broker's state. */
export interface BrokerObserver {
  stored(brokerName: string, message: StoredMessage): void;
  committed(brokerName: string, group: string, topic: string, queueId: number, to: bigint): void;
  readonly popped: PopObserver;
}

export interface SimulatedBroker {
  readonly name: string;
  readonly host: Host;
  readonly server: SimulatedServer;
  readonly broker: Broker;
  registered: boolean;
  /** By `TERM` (everything is written) or `KILL` (commits of the last seconds are lost). Comes back after `ms`. */
  restart(how: 'TERM' | 'KILL', ms: number): void;
  produce(
    message: Pick<MessageToStore, 'topic' | 'queueId' | 'body' | 'properties' | 'bornTimestamp'>,
  ): boolean;
}

type OffsetKey = readonly [group: string, topic: string, queueId: number];

export interface Brokers {
  readonly all: readonly SimulatedBroker[];
  readonly nameServer: SimulatedServer;
  named(name: string): SimulatedBroker;
  createTopic(topic: string, queues: number, brokers?: readonly string[]): void;
  createGroup(group: string): void;
}

export function createBrokers(
  names: readonly string[],
  scheduler: Scheduler,
  network: Network,
  observer: BrokerObserver,
): Brokers {
  const all = names.map((name, index) => createOne(name, index, scheduler, network, observer));
  const nameServer: SimulatedServer = {
    address: NAME_SERVER,
    host: createHost('name-server'),
    state: 'up',
    handle: (command, _connection, answer) =>
      answer(
        answerFromNameServer(all.filter(({ registered }) => registered).map(registration), command),
      ),
    closed: () => {},
  };
  network.listen(nameServer);
  const named = (name: string): SimulatedBroker => {
    const found = all.find((broker) => broker.name === name);
    if (found === undefined) throw new RangeError(`no broker "${name}" in this simulation`);
    return found;
  };
  return {
    all,
    nameServer,
    named,
    createTopic(topic, queues, brokers = names) {
      for (const name of brokers)
        named(name).broker.state.topics.put(topicConfig(topic, queues, undefined));
    },
    createGroup(group) {
      for (const { broker } of all) broker.state.groups.put(subscriptionGroup(group, {}));
    },
  };
}

function registration({ name, server, broker }: SimulatedBroker): RegisteredBroker {
  return {
    cluster: 'DefaultCluster',
    brokerName: name,
    address: server.address,
    topic: (topic) => broker.state.topics.get(topic),
    topics: () => broker.state.topics.all(),
  };
}

function createOne(
  name: string,
  index: number,
  scheduler: Scheduler,
  network: Network,
  observer: BrokerObserver,
): SimulatedBroker {
  const host = createHost(name);
  const storeHost = { address: `10.2.0.${index + 1}`, port: 10_911 };
  const broker = createBroker({
    cluster: 'DefaultCluster',
    brokerName: name,
    storeHost: () => storeHost,
    delayLevels: parseDelayLevels(DEFAULT_DELAY_LEVELS),
    autoCreateTopic: false,
    autoCreateSubscriptionGroup: true,
    defaultTopicQueueNums: 4,
    longPollTickMs: 5_000,
    lockMaxLiveMs: 60_000,
    channelExpiredMs: 120_000,
  });
  const committed = new Map<string, { readonly key: OffsetKey; offset: bigint }>();
  const pop = new PopBroker(broker.state, host, scheduler, observer.popped);
  const stored: BrokerObserver['stored'] = (...message) => {
    observer.stored(...message);
    pop.arrived();
  };
  observe(broker, name, { ...observer, stored }, committed);
  let written = new Map<string, bigint>();
  const server: SimulatedServer = {
    address: `${storeHost.address}:${storeHost.port}`,
    host,
    state: 'up',
    handle(command, connection, answer) {
      if (!pop.handle(command, answer)) broker.handle(command, connection, answer);
    },
    closed: broker.connectionClosed,
  };
  network.listen(server);
  const persist = (): void => {
    written = new Map([...committed].map(([key, { offset }]) => [key, offset]));
  };
  /** Offsets go back to what the file has; the first ones of a queue are gone with it. */
  const forgetUnwritten = (): void => {
    const { offsets } = broker.state;
    const lost = [...committed].filter(([key, { offset }]) => written.get(key) !== offset);
    if (lost.length === 0) return;
    const kept = [...committed].map(([key, { key: of }]) => [of, written.get(key)] as const);
    for (const [[group]] of kept) offsets.forgetGroup(group);
    committed.clear();
    for (const [of, offset] of kept)
      if (offset !== undefined) offsets.commit(...of, offset);
      else observer.committed(name, ...of, 0n);
  };
  const start = (): void => {
    broker.start();
    persistLater();
  };
  const persistLater = (): void => {
    setTimeout(() => {
      persist();
      persistLater();
    }, PERSIST_MS);
  };
  runAs(host, start);
  const simulated: SimulatedBroker = {
    name,
    host,
    server,
    broker,
    registered: true,
    restart(how, ms) {
      if (server.state !== 'up') return;
      server.state = 'refusing';
      simulated.registered = false;
      network.cutServer(server);
      broker.stop();
      pop.forgetHeld();
      if (how === 'KILL') forgetUnwritten();
      scheduler.schedule(ms, host, () => {
        server.state = 'up';
        broker.start();
        scheduler.schedule(REGISTERS_AFTER_MS, host, () => {
          simulated.registered = true;
        });
      });
    },
    produce({ topic, queueId, body, properties, bornTimestamp }) {
      if (server.state !== 'up' || host.state !== 'running') return false;
      runAs(host, () =>
        broker.state.store.put({
          topic,
          queueId,
          body,
          properties,
          flag: 0,
          sysFlag: 0,
          bornTimestamp,
          bornHost: { address: '10.3.0.1', port: 1 },
          reconsumeTimes: 0,
        }),
      );
      return true;
    },
  };
  return simulated;
}

/** Listens at the broker's own state: every message that is stored, every offset that is committed. */
function observe(
  { state }: Broker,
  name: string,
  observer: BrokerObserver,
  committed: Map<string, { readonly key: OffsetKey; offset: bigint }>,
): void {
  const { store, offsets } = state;
  const { put, append } = store;
  Object.assign(store, {
    put(message: MessageToStore): StoredMessage {
      const stored = put(message);
      observer.stored(name, stored);
      return stored;
    },
    append(message: MessageToStore): StoredMessage {
      const stored = append(message);
      observer.stored(name, stored);
      return stored;
    },
  });
  const { commit, reset } = offsets;
  const noted =
    (write: typeof commit): typeof commit =>
    (group, topic, queueId, offset) => {
      write(group, topic, queueId, offset);
      committed.set(`${group}/${topic}/${queueId}`, { key: [group, topic, queueId], offset });
      observer.committed(name, group, topic, queueId, offset);
    };
  Object.assign(offsets, { commit: noted(commit), reset: noted(reset) });
}
