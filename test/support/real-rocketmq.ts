import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rocketmqPart } from '../../cli/stack/cache.ts';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { PermissionError } from '../../src/errors.ts';
import type { ClusterConfig, TlsOptions } from '../../src/model/source.ts';
import { type Child, startChild } from './child-process.ts';
import { freeRocketMQPorts } from './ports.ts';
import { requirePart, TESTED_VERSION } from './stack.ts';

export interface RealRocketMQOptions {
  /** Broker names; one broker set each. */
  readonly brokers?: readonly string[];
  /** Masters that get a slave (broker id 1), named `<master>/1` here; it may be read. */
  readonly slaves?: readonly string[];
  /** The address that brokers announce, where none of them can be reached: brokers behind NAT. */
  readonly announcedHost?: string;
  readonly messageDelayLevel?: string;
  /** Further lines of broker.conf. */
  readonly brokerConf?: Readonly<Record<string, string>>;
  /** Further JVM options of the broker (`-Dtls.server.mode=enforcing`). */
  readonly jvm?: readonly string[];
  /** Files below ROCKETMQ_HOME, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** TLS and nothing else for everybody: RocketMQ's tls.properties, and how a client of it connects. */
  readonly tls?: { readonly properties: string; readonly client: TlsOptions };
}

export interface RealBroker {
  readonly name: string;
  readonly address: string;
}

export interface RealRocketMQ {
  readonly nameServer: string;
  readonly brokers: readonly RealBroker[];
  /** Ends a broker and starts it again on the same store; resolves when it takes requests. */
  restartBroker(name: string, signal?: NodeJS.Signals): Promise<void>;
  stopBroker(name: string, signal?: NodeJS.Signals): Promise<void>;
  startBroker(name: string): Promise<void>;
  /** SIGSTOP freezes the broker, or the name server, SIGCONT thaws it. */
  signal(name: string, signal: NodeJS.Signals): void;
  /** Replaces a file below ROCKETMQ_HOME. */
  writeFile(name: string, content: string): Promise<void>;
  stop(): Promise<void>;
}

/** What RocketMQ 4.9 and 5 need of a JDK 17. */
const JDK_17 = [
  '--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED',
  '--add-exports=java.base/sun.nio.ch=ALL-UNNAMED',
  '--add-opens=java.base/java.nio=ALL-UNNAMED',
  '--add-opens=java.base/sun.nio.ch=ALL-UNNAMED',
  '--add-opens=java.base/java.lang=ALL-UNNAMED',
  '--add-opens=java.base/java.util=ALL-UNNAMED',
];
/** The name server among the names that `signal` takes. */
export const NAME_SERVER = 'namesrv';
const READY_MS = 60_000;
const SILENT_LOGBACK = '<configuration><root level="OFF"/></configuration>';

/** A real name server and brokers as child processes on free loopback ports, with small heaps and a store of their own. */
export async function startRealRocketMQ(options: RealRocketMQOptions = {}): Promise<RealRocketMQ> {
  const lib = path.join(requirePart(rocketmqPart(TESTED_VERSION)).folder, 'lib');
  const home = await mkdtemp(path.join(tmpdir(), 'rocketmq-'));
  await mkdir(path.join(home, 'conf'), { recursive: true });
  for (const name of ['logback_namesrv.xml', 'logback_broker.xml'])
    await writeFile(path.join(home, 'conf', name), SILENT_LOGBACK);
  const writeBelowHome = async (name: string, content: string): Promise<void> => {
    await mkdir(path.dirname(path.join(home, name)), { recursive: true });
    await writeFile(path.join(home, name), content);
  };
  for (const [name, content] of Object.entries(options.files ?? {}))
    await writeBelowHome(name, content);
  if (options.tls !== undefined) await writeBelowHome('tls.properties', options.tls.properties);
  const tls =
    options.tls === undefined
      ? []
      : [
          '-Dtls.server.mode=enforcing',
          '-Dtls.enable=true',
          `-Dtls.config.file=${home}/tls.properties`,
        ];
  const java = (heap: readonly string[], main: string, conf: string): Child =>
    startChild(
      'java',
      [
        ...heap,
        '-XX:+UseSerialGC',
        ...tls,
        ...JDK_17,
        `-Duser.home=${home}`,
        '-cp',
        `${lib}/*`,
        main,
        '-c',
        conf,
      ],
      {
        cwd: home,
        env: { ...process.env, ROCKETMQ_HOME: home },
      },
    );

  const brokerNames = [
    ...(options.brokers ?? ['broker-a']),
    ...(options.slaves ?? []).map((master) => `${master}/1`),
  ];
  const ports = await freeRocketMQPorts(brokerNames.length);
  const nameServer = `127.0.0.1:${ports.nameServer}`;
  const namesrvConf = path.join(home, 'namesrv.conf');
  await writeFile(namesrvConf, `listenPort=${ports.nameServer}\nbindAddress=127.0.0.1\n`);
  const namesrv = java(
    ['-Xms128m', '-Xmx128m'],
    'org.apache.rocketmq.namesrv.NamesrvStartup',
    namesrvConf,
  );

  const running = new Map<string, Child>();
  const brokers: (RealBroker & { readonly conf: string })[] = [];
  for (const [index, name] of brokerNames.entries()) {
    const port = ports.brokers[index] as number;
    const [master = name, id = '0'] = name.split('/');
    const conf = path.join(home, `${master}-${id}.conf`);
    const settings = {
      brokerClusterName: 'TestCluster',
      brokerName: master,
      brokerId: id,
      ...(id === '0' ? {} : { brokerRole: 'SLAVE' }),
      ...(options.slaves === undefined
        ? {}
        : { slaveReadEnable: 'true', haListenPort: String(port + 1) }),
      listenPort: String(port),
      bindAddress: '127.0.0.1',
      brokerIP1: options.announcedHost ?? '127.0.0.1',
      namesrvAddr: nameServer,
      storePathRootDir: path.join(home, `store-${master}-${id}`),
      mappedFileSizeCommitLog: '33554432',
      mappedFileSizeConsumeQueue: '600000',
      maxHashSlotNum: '5000',
      maxIndexNum: '20000',
      mappedFileSizeTimerLog: '10485760',
      timerWheelEnable: 'true',
      diskMaxUsedSpaceRatio: '95',
      ...(options.messageDelayLevel === undefined
        ? {}
        : { messageDelayLevel: options.messageDelayLevel }),
      ...options.brokerConf,
    };
    await writeFile(
      conf,
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    );
    brokers.push({ name, address: `127.0.0.1:${port}`, conf });
  }

  const reachable = (): ClusterConfig => ({
    nameServers: [nameServer],
    addressMap: Object.fromEntries(
      brokers.map(({ address }) => [
        address.replace('127.0.0.1', options.announcedHost ?? '127.0.0.1'),
        address,
      ]),
    ),
  });

  const startBroker = async (name: string): Promise<void> => {
    const broker = brokers.find((candidate) => candidate.name === name);
    if (broker === undefined) throw new Error(`no broker ${name}`);
    const child = java(
      ['-Xms384m', '-Xmx384m', '-XX:MaxDirectMemorySize=512m', ...(options.jvm ?? [])],
      'org.apache.rocketmq.broker.BrokerStartup',
      broker.conf,
    );
    running.set(name, child);
    await awaitRegistered(
      { ...reachable(), ...(options.tls === undefined ? {} : { tls: options.tls.client }) },
      name,
      [namesrv, child],
    );
  };
  const stopBroker = async (name: string, signal?: NodeJS.Signals): Promise<void> => {
    await running.get(name)?.stop(signal);
    running.delete(name);
  };
  const stop = async (): Promise<void> => {
    await Promise.all([...running.keys()].map((name) => stopBroker(name, 'SIGKILL')));
    await namesrv.stop('SIGKILL');
    await rm(home, { recursive: true, force: true });
  };
  try {
    // A slave looks for its master when it starts.
    await Promise.all((options.brokers ?? ['broker-a']).map(startBroker));
    await Promise.all((options.slaves ?? []).map((master) => startBroker(`${master}/1`)));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nameServer,
    brokers,
    startBroker,
    stopBroker,
    signal(name, signal) {
      (name === NAME_SERVER ? namesrv : running.get(name))?.process.kill(signal);
    },
    writeFile: writeBelowHome,
    async restartBroker(name, signal) {
      await stopBroker(name, signal);
      await startBroker(name);
    },
    stop,
  };
}

/** Ready: the name server knows the broker and the broker answers. */
async function awaitRegistered(
  cluster: ClusterConfig,
  brokerName: string,
  children: readonly Child[],
): Promise<void> {
  const client = createRocketMQClient(cluster);
  const giveUpAt = Date.now() + READY_MS;
  let ended = false;
  for (const child of children) void child.exited.catch(() => {}).then(() => (ended = true));
  try {
    for (let last: unknown; ; ) {
      try {
        if (await isReady(client, brokerName)) return;
      } catch (error) {
        // A broker that asks for credentials answers.
        if (error instanceof PermissionError) return;
        last = error;
      }
      if (ended || Date.now() > giveUpAt)
        throw new Error(
          `RocketMQ ${ended ? 'ended' : 'was not ready in time'} (${String(last)}): ${children.map((child) => child.output()).join('\n')}`,
        );
      await sleep(200);
    }
  } finally {
    await client.close();
  }
}

const BROKERS_TOPIC = 'TBW102';

async function isReady(client: RocketMQClient, name: string): Promise<boolean> {
  const [brokerName = name, id = '0'] = name.split('/');
  if (id !== '0') {
    // The topic that all brokers have tells of slaves, too.
    const route = await client.topicRoute(BROKERS_TOPIC, { fresh: true });
    return route.brokers.some(
      (broker) => broker.brokerName === brokerName && broker.brokerAddrs.has(Number(id)),
    );
  }
  if (!(await client.brokerNames()).includes(brokerName)) return false;
  await client.consumerIds('READY_PROBE', brokerName);
  return true;
}
