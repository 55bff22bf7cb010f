import { uptimeMs } from '../decide/offset/broker-uptime.ts';
import {
  InvalidFilterError,
  PermissionError,
  RouteRefusedError,
  TopicNotFoundError,
} from '../errors.ts';
import { connectionWeaknesses } from '../model/connection-weaknesses.ts';
import { retryTopic } from '../model/message-queue.ts';
import { MASTER_ID, readableQueues, type TopicRoute } from '../model/route.ts';
import type { ClusterConfig, SourceConfig } from '../model/source.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import { buildSubscription } from '../records/subscription.ts';
import type { Arguments } from './arguments.ts';
import { connectionsOf } from './connections.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { LOOK_MS, troubleOf } from './queue-figures.ts';
import { chooseSources, groupKey } from './scope.ts';

export const CHECKS = [
  'addresses',
  'dns',
  'tcp',
  'tls',
  'acl',
  'topics',
  'group',
  'retry-topic',
  'filters',
  'clock',
  'version',
  'members',
  'table',
  'handlers',
] as const;

export interface Finding {
  readonly check: (typeof CHECKS)[number];
  /** What was looked at: a cluster, a group. */
  readonly of: string;
  /** `unknown`: it could not be found out, for want of a right, say. */
  readonly result: 'ok' | 'warning' | 'failed' | 'unknown' | 'not needed';
  readonly detail: string;
  /** What to do. */
  readonly fix?: string;
}

export interface DoctorAnswer {
  /** Where it looked from: inside the deployed function's network, or from this machine. */
  readonly place: 'function' | 'local';
  readonly findings: readonly Finding[];
  readonly failed: number;
}

/** The broker's clock is known to some seconds only. */
const CLOCK_TOLERANCE_MS = 30_000;

type Found = Omit<Finding, 'check' | 'of'>;

/** What is between this place and messages that arrive: network, rights, topics, filters, clocks, table, handlers. Changes nothing. */
export async function doctor(deps: OperatorDeps, args: Arguments): Promise<DoctorAnswer> {
  const sources = chooseSources(deps, args);
  args.finish();
  const clusters = [...new Set(sources.map(({ cluster }) => cluster))];
  const findings = [
    ...(await Promise.all(clusters.map((cluster) => checkCluster(deps, cluster)))).flat(),
    ...(await Promise.all(sources.map((source) => checkGroup(deps, source)))).flat(),
  ];
  return {
    place: deps.place,
    findings,
    failed: findings.filter(({ result }) => result === 'failed').length,
  };
}

async function check(
  name: Finding['check'],
  of: string,
  look: () => Promise<Found>,
): Promise<Finding> {
  try {
    return { check: name, of, ...(await look()) };
  } catch (error) {
    const { message } = troubleOf(error);
    return { check: name, of, result: 'failed', detail: message };
  }
}

const ok = (detail: string): Found => ({ result: 'ok', detail });
const failed = (detail: string, fix: string): Found => ({ result: 'failed', detail, fix });

async function checkCluster(deps: OperatorDeps, cluster: string): Promise<Finding[]> {
  const config = deps.service.clusters[cluster] as ClusterConfig;
  const of = `cluster ${cluster}`;
  const here =
    deps.place === 'function' ? "the function's subnets and security groups" : 'this machine';
  let client: RocketMQ;
  try {
    client = deps.clients(cluster);
  } catch (error) {
    return [
      {
        check: 'acl',
        of,
        ...failed(troubleOf(error).message, 'make the secret readable, and deploy again'),
      },
    ];
  }
  const brokers = await client.brokerNames({ timeoutMs: LOOK_MS }).catch(() => []);
  const announced = [...new Set(await brokerAddresses(deps, cluster, client))];
  const refused = await refusedAddresses(deps, config, announced);
  const addresses = [
    ...new Set([...config.nameServers, ...announced.filter((address) => !refused.has(address))]),
  ];
  const each = async (look: (address: string) => Promise<string>, fix: string): Promise<Found> => {
    const looked = await Promise.allSettled(addresses.map(look));
    const wrong = looked.flatMap((one, index) =>
      one.status === 'rejected' ? [`${addresses[index]}: ${troubleOf(one.reason).message}`] : [],
    );
    if (wrong.length > 0) return failed(wrong.join('; '), fix);
    return ok(
      looked
        .map((one, index) => `${addresses[index]} ${one.status === 'fulfilled' ? one.value : ''}`)
        .join(', '),
    );
  };
  return Promise.all([
    check('addresses', of, async () =>
      refused.size === 0
        ? ok(announced.length === 0 ? 'no broker is known' : announced.join(', '))
        : failed(
            [...refused].map(([address, reason]) => `${address}: ${reason}`).join('; '),
            'correct brokerIP1 of the broker; or, if the address is right, list it and all other brokers of the cluster in its brokers, or translate it with addressMap',
          ),
    ),
    check('dns', of, () =>
      each(
        async (address) => (await deps.probe.lookup(address)).join(' '),
        `correct the name, or let ${here} use the resolver that knows it; addressMap replaces names that brokers announce`,
      ),
    ),
    check('tcp', of, () =>
      each(
        async (address) => `${await deps.probe.connect(address, undefined, config)} ms`,
        `open the port from ${here}: route, security group, network ACL, firewall; brokers behind NAT need addressMap (announced address → reachable one)`,
      ),
    ),
    check('tls', of, async () => {
      const weaknesses = connectionWeaknesses(config);
      const isEnabled = config.tls?.enabled === true || config.secrets?.tls !== undefined;
      const found = isEnabled
        ? await each(
            async (address) =>
              `${await deps.probe.connect(address, { enabled: true, ...config.tls }, config)} ms`,
            'give caCertificate, serverName, or a client certificate as the message says',
          )
        : { result: 'not needed' as const, detail: 'tls is not enabled for this cluster' };
      if (found.result === 'failed' || weaknesses.length === 0) return found;
      return {
        result: 'warning',
        detail: weaknesses.map(({ text }) => text).join('; '),
        fix: weaknesses.map(({ fix }) => fix).join('; '),
      };
    }),
    check('acl', of, async () => {
      try {
        const names = await client.brokerNames({ timeoutMs: LOOK_MS });
        return names.length === 0
          ? failed(
              'the name servers know no broker',
              'start brokers that register with these name servers',
            )
          : ok(
              `${config.credentials === undefined && config.secrets?.credentials === undefined ? 'without credentials' : 'credentials are taken'} (brokers ${names.join(', ')})`,
            );
      } catch (error) {
        const fix =
          error instanceof PermissionError
            ? 'correct accessKey and secretKey (secrets, or ROCKETMQ_ACCESS_KEY and ROCKETMQ_SECRET_KEY)'
            : 'first mend dns and tcp';
        return failed(troubleOf(error).message, fix);
      }
    }),
    check('clock', of, () => checkClocks(deps, client, brokers)),
    check('version', of, () => checkVersions(deps, cluster, client, brokers)),
  ]);
}

/** As they can be reached from here: with addressMap. */
async function brokerAddresses(
  deps: OperatorDeps,
  cluster: string,
  client: RocketMQ,
): Promise<string[]> {
  const map = new Map(Object.entries(deps.service.clusters[cluster]?.addressMap ?? {}));
  const topics = deps.service.sources
    .filter((source) => source.cluster === cluster)
    .flatMap(({ subscriptions }) => subscriptions.map(({ topic }) => topic));
  const routes = await Promise.all(
    topics.map((topic) =>
      client
        .topicRoute(topic, { timeoutMs: LOOK_MS })
        .catch((): TopicRoute | undefined => undefined),
    ),
  );
  const announced = routes.flatMap(
    (route) => route?.brokers.flatMap(({ brokerAddrs }) => brokerAddrs.get(MASTER_ID) ?? []) ?? [],
  );
  return announced.map((address) => map.get(address) ?? address);
}

/** Address → why no client connects to it. A name that cannot be looked up is the business of the check `dns`. */
async function refusedAddresses(
  { probe }: OperatorDeps,
  config: ClusterConfig,
  announced: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const reasons = await Promise.all(
    announced.map(async (address) => {
      const reason = await probe.refusal(address, config).catch(() => undefined);
      return reason === undefined ? [] : [[address, reason] as const];
    }),
  );
  return new Map(reasons.flat());
}

async function infos(client: RocketMQ, brokers: readonly string[]) {
  return Promise.all(
    brokers.map(async (broker) => {
      try {
        return { broker, info: await client.brokerInfo(broker, { timeoutMs: LOOK_MS }) };
      } catch {
        return { broker, info: undefined };
      }
    }),
  );
}

async function checkClocks(
  { clock }: OperatorDeps,
  client: RocketMQ,
  brokers: readonly string[],
): Promise<Found> {
  const told = await infos(client, brokers);
  const now = clock.now();
  const skews = told.flatMap(({ broker, info }) => {
    const uptime = info && uptimeMs(info);
    const boot = Number(info?.get('bootTimestamp'));
    if (uptime === undefined || !Number.isFinite(boot)) return [];
    return [{ broker, skew: boot + uptime - now }];
  });
  if (skews.length === 0)
    return {
      result: 'unknown',
      detail: 'no broker tells when it was started and how long it runs',
    };
  const wrong = skews.filter(({ skew }) => Math.abs(skew) > CLOCK_TOLERANCE_MS);
  const text = skews
    .map(({ broker, skew }) => `${broker} ${(skew / 1000).toFixed(0)} s`)
    .join(', ');
  return wrong.length === 0
    ? ok(`differences are small: ${text} (known to some seconds only)`)
    : {
        result: 'warning',
        detail: `clocks differ: ${text}`,
        fix: 'set the clock of the broker by NTP: ages, AT_TIMESTAMP, resets to a time and maximumRecordAgeInSeconds depend on it',
      };
}

async function checkVersions(
  deps: OperatorDeps,
  cluster: string,
  client: RocketMQ,
  brokers: readonly string[],
): Promise<Found> {
  const told = await infos(client, brokers);
  const versions = told.flatMap(({ broker, info }) => {
    const version = info?.get('brokerVersionDesc');
    return version === undefined ? [] : [{ broker, version }];
  });
  if (versions.length === 0)
    return {
      result: 'unknown',
      detail: 'no broker tells its version (with ACL, that is a right of administrators)',
    };
  const before = (major: number, minor: number) =>
    versions.filter(({ version }) => {
      const [, a = 0, b = 0] = /V(\d+)_(\d+)/.exec(version)?.map(Number) ?? [];
      return a < major || (a === major && b < minor);
    });
  const text = versions.map(({ broker, version }) => `${broker} ${version}`).join(', ');
  const old = before(4, 9);
  if (old.length > 0) return failed(text, 'brokers from 4.9 on are supported: upgrade them');
  const pops = deps.service.sources.some(
    (source) => source.cluster === cluster && source.mode === 'pop',
  );
  return pops && before(5, 0).length > 0
    ? failed(text, 'mode pop needs brokers from 5.0 on: upgrade them, or leave mode out')
    : ok(text);
}

async function checkGroup(deps: OperatorDeps, source: SourceConfig): Promise<Finding[]> {
  const { cluster, consumerGroup, subscriptions } = source;
  const of = cluster === 'default' ? consumerGroup : `${cluster}/${consumerGroup}`;
  let client: RocketMQ;
  try {
    client = deps.clients(cluster);
  } catch {
    return [];
  }
  const call = { timeoutMs: LOOK_MS };
  return Promise.all([
    check('topics', of, async () => {
      let isRefused = false;
      const looked = await Promise.all(
        subscriptions.map(async ({ topic }) => {
          try {
            const queues = readableQueues(await client.topicRoute(topic, { ...call, fresh: true }));
            if (queues[0] === undefined)
              return { topic, count: 0, why: `${topic} has no readable queue` };
            await client.maxOffset(queues[0], call);
            return { topic, count: queues.length, why: undefined };
          } catch (error) {
            isRefused ||= error instanceof RouteRefusedError;
            return { topic, count: 0, why: troubleOf(error).message };
          }
        }),
      );
      const wrong = looked.flatMap(({ why }) => why ?? []);
      return wrong.length === 0
        ? ok(looked.map(({ topic, count }) => `${topic} ${count} queues`).join(', '))
        : failed(
            wrong.join('; '),
            isRefused
              ? 'correct the topic at its brokers, and check that nameServers are the cluster’s own'
              : 'create the topic (mqadmin updateTopic), make it readable (perm 6), and give the user Sub and Get on it',
          );
    }),
    check('group', of, async () => {
      const queue = await firstQueue(client, source);
      if (queue === undefined)
        return { result: 'unknown', detail: 'no topic of the group can be read' };
      try {
        const stored = await client.queryOffset(consumerGroup, queue, call);
        const subscription = buildSubscription(queue.topic, '*');
        await client.pull(
          {
            consumerGroup,
            queue,
            offset: stored ?? (await client.minOffset(queue, call)),
            subscription,
            maxMessages: 1,
            suspendMs: 0,
          },
          call,
        );
        return ok(
          stored === undefined
            ? 'it may read, and has no offset yet'
            : 'it may read, and has offsets',
        );
      } catch (error) {
        return failed(
          troubleOf(error).message,
          `create the group (mqadmin updateSubGroup -g ${consumerGroup} -c <cluster>) where brokers make none by themselves, and give the user Sub on it`,
        );
      }
    }),
    check('retry-topic', of, async () => {
      if (source.messageModel === 'BROADCASTING')
        return { result: 'not needed', detail: 'in broadcasting nothing is sent back' };
      const topic = retryTopic(consumerGroup);
      try {
        const queues = readableQueues(await client.topicRoute(topic, { ...call, fresh: true }));
        if (queues[0] === undefined)
          return failed(
            `${topic} may not be read`,
            `mqadmin updateTopicPerm -t ${topic} -p 6 -c <cluster>`,
          );
        await client.queryOffset(consumerGroup, queues[0], call);
        return ok(`${topic} ${queues.length} queues`);
      } catch (error) {
        if (error instanceof TopicNotFoundError)
          return ok(`${topic} does not exist yet: the first message that fails makes it`);
        return failed(
          troubleOf(error).message,
          `give the user Sub on group ${consumerGroup} and on its retry topic`,
        );
      }
    }),
    check('filters', of, async () => {
      const sql = subscriptions.filter(({ filter }) => filter.type !== 'TAG');
      if (sql.length === 0) return { result: 'not needed', detail: 'no SQL filters' };
      for (const { topic, filter } of sql)
        for (const broker of await client.brokerNames(call))
          try {
            await client.checkSubscription(
              consumerGroup,
              buildSubscription(topic, filter.expression, filter.type, deps.clock.now()),
              broker,
              call,
            );
          } catch (error) {
            const isOff =
              error instanceof InvalidFilterError &&
              /not support|enablePropertyFilter/i.test(error.message);
            return failed(
              `${topic}: ${troubleOf(error).message}`,
              isOff ? 'set enablePropertyFilter=true in broker.conf' : 'correct the expression',
            );
          }
      return ok(sql.map(({ topic }) => topic).join(', '));
    }),
    check('members', of, async () => {
      const { members, conflicts } = await connectionsOf(deps, source);
      const foreign = members.filter(({ own }) => !own).map(({ clientId }) => clientId);
      if (conflicts.length > 0)
        return failed(
          conflicts.join('; '),
          'give all members of the group the same topics and filters, or messages are skipped',
        );
      if (foreign.length > 0 && source.coexist !== true && source.messageModel !== 'BROADCASTING')
        return failed(
          `others are in the group: ${foreign.join(', ')}`,
          'stop them, use a consumerGroup of your own, or set coexist: true',
        );
      return ok(members.length === 0 ? 'nobody else is in the group' : `${members.length} members`);
    }),
    check('table', of, async () => {
      if (deps.store === undefined)
        return { result: 'unknown', detail: 'no table is named', fix: 'name it with --table' };
      const items = await deps.store.list(groupKey(source));
      return items.length === 0
        ? {
            result: 'warning',
            detail: 'it can be read, and has no queue of the group',
            fix: 'the coordinator has not assigned any yet: look at its schedule and its log',
          }
        : ok(`${items.length} queues are assigned`);
    }),
    check('handlers', of, async () => {
      const names = [
        ...new Set(
          subscriptions.flatMap(({ handler }) =>
            handler.invocation === 'function' ? [handler.functionName] : [],
          ),
        ),
      ];
      if (names.length === 0)
        return { result: 'not needed', detail: 'handlers run inside the puller' };
      const { checkHandler } = deps;
      if (checkHandler === undefined)
        return {
          result: 'not needed',
          detail: 'not checked: the read-only function has no right to invoke handlers',
        };
      const looked = await Promise.all(
        names.map(async (name) => ({ name, wrong: await checkHandler(name) })),
      );
      const wrong = looked.flatMap(({ name, wrong: one }) =>
        one === undefined ? [] : [`${name}: ${one.why}`],
      );
      return wrong.length === 0
        ? ok(names.join(', '))
        : failed(
            wrong.join('; '),
            'deploy the service again; the function must exist and the role may invoke it',
          );
    }),
  ]);
}

async function firstQueue(client: RocketMQ, { subscriptions }: SourceConfig) {
  for (const { topic } of subscriptions) {
    const [queue] = await client
      .topicRoute(topic, { timeoutMs: LOOK_MS })
      .then(readableQueues, () => []);
    if (queue !== undefined) return queue;
  }
  return undefined;
}
