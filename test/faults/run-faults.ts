import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { dlqTopic, retryTopic } from '../../src/model/message-queue.ts';
import { readableQueues } from '../../src/model/route.ts';
import { ensureTable } from '../../src/store/table.ts';
import { startDynamoDBLocal } from '../support/dynamodb-local.ts';
import { jsonLines, mqadmin, runJava, startJava } from '../support/java.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { endsOfPullers, type Fault, type FaultTargets, injectFault } from './inject-fault.ts';
import { Journal } from './journal.ts';
import {
  costsOf,
  deadLetterErrors,
  doubledByBroker,
  type Evidence,
  extraDeadLettersOf,
  type FaultCost,
  lostMessages,
  orderErrors,
  repeatsOf,
  type TopicEntry,
} from './judge.ts';
import { COORDINATOR, startPackagedService } from './packaged-service.ts';
import { durationOf, type PlanOptions, planFaults } from './plan-faults.ts';
import { type Check, describeRepeat, excess, seconds } from './print-report.ts';
import { groupOf, KEYS, MAX_RETRIES, type Order, topicOf } from './workload.ts';

export interface FaultRunOptions extends PlanOptions {
  /** One topic and group each, side by side. */
  readonly orders: readonly Order[];
  /** Of all topics together. */
  readonly messages: number;
  readonly say: (line: string) => void;
  /** Every line that a function writes. */
  readonly onLog?: (functionName: string, line: string) => void;
  readonly signal: AbortSignal;
}

export interface FaultRunResult {
  readonly checks: readonly Check[];
  readonly costs: readonly FaultCost[];
  readonly startedAt: number;
  /** A line for each order. */
  readonly summary: readonly string[];
}

const QUEUES = 4;
const TABLE = 'assignments';
/** Where brokers keep messages until their delay level has passed. */
const DELAYED_TOPIC = 'SCHEDULE_TOPIC_XXXX';
const BODY_BYTES = 200;
/** The schedule of a deployed service is a minute; three times as often keeps the run short after a coordinator's death. */
const SCHEDULE_MS = 20_000;
/** After the last fault everything has its end within this time. */
const DRAIN_MS = 300_000;
/** Redelivery delays of the broker are 1–3 s: quiet for longer, nothing more comes. */
const QUIET_MS = 5_000;
const WARM_UP_MS = 90_000;
const LOCAL = {
  region: 'eu-west-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
};

/**
 * Lets faults happen to a packaged service under load and judges what is left. Everything that it starts it stops, also when it is aborted.
 * @throws the signal's reason, or what kept it from running
 */
export async function runFaults(given: FaultRunOptions): Promise<FaultRunResult> {
  const startedAt = Date.now();
  const say = (line: string): void =>
    given.say(`${seconds(Date.now() - startedAt).padStart(8)}  ${line}`);
  const options = { ...given, say };
  const { orders, signal } = options;
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const [rocketmq, dynamodb] = await Promise.all([
      startRealRocketMQ({
        messageDelayLevel: '1s 1s 1s 2s 2s 3s 3s 3s 3s 3s 3s 3s 3s 3s 3s 3s 3s 3s',
      }).then((started) => {
        stops.push(() => started.stop());
        return started;
      }),
      startDynamoDBLocal().then((started) => {
        stops.push(() => started.stop());
        return started;
      }),
    ]);
    signal.throwIfAborted();
    const client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
    stops.push(() => client.close());
    for (const order of orders)
      await client.createTopic(topicOf(order), { readQueueNums: QUEUES, writeQueueNums: QUEUES });
    const table = new DynamoDBClient({ ...LOCAL, endpoint: dynamodb.endpoint });
    await ensureTable(table, TABLE);
    table.destroy();
    const journal = new Journal(({ reconsumeTimes }) => reconsumeTimes >= MAX_RETRIES);
    const journalUrl = await journal.start();
    stops.push(() => journal.stop());
    say('packaging the service');
    const service = await startPackagedService(
      orders,
      rocketmq.nameServer,
      {
        ROCKETMQ_TABLE: TABLE,
        AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint,
        JOURNAL_URL: journalUrl,
      },
      options.onLog ?? (() => {}),
    );
    stops.push(() => service.stop());
    signal.throwIfAborted();
    return await run(options, {
      ...{ lambda: service.lambda, rocketmq, dynamodb, journal, client, startedAt },
      atEnd: (stop) => void stops.push(stop),
    });
  } finally {
    // The last one started goes first: handlers report until they are gone.
    for (const stop of stops.reverse())
      await stop().catch((error: unknown) => say(`could not stop: ${String(error)}`));
  }
}

interface World extends FaultTargets {
  readonly client: RocketMQClient;
  readonly startedAt: number;
  /** Called in the end, the last one first. */
  readonly atEnd: (stop: () => Promise<unknown>) => void;
}

async function run(options: FaultRunOptions, world: World): Promise<FaultRunResult> {
  const { orders, say, signal } = options;
  const { client, journal, lambda, rocketmq, startedAt } = world;
  const plan = planFaults(options);
  const each = Math.floor(options.messages / orders.length);
  const perSecond = each / (durationOf(plan) / 1000);
  keepCoordinating(world, say);
  for (const order of orders) {
    const rate = [each, perSecond, KEYS, BODY_BYTES].map(String);
    const producer = await startJava(
      'ProduceSteadily',
      [rocketmq.nameServer, topicOf(order), ...rate],
      (line) => journal.noteStored(order, line),
    );
    world.atEnd(() => producer.stop('SIGKILL'));
  }
  say(`${each} messages for each of ${orders.join(', ')}: ${Math.round(perSecond)} a second`);
  const warm = await reached(
    () => orders.every((order) => journal.done(order).size >= Math.min(50, each / 4)),
    WARM_UP_MS,
    signal,
  );
  if (!warm) throw new Error(`no handler was called within ${WARM_UP_MS / 1000} s`);
  const { faults, missed } = await letFaultsHappen(
    world,
    plan,
    signal,
    ({ kind, queues }, number) =>
      say(`fault ${number} of ${plan.length}: ${[kind, ...(queues ?? [])].join(', ')}`),
  );
  say('no more faults: waiting for the last messages');
  const drainedFrom = Date.now();
  const drained = await reached(
    settledFor(QUIET_MS, () => everythingEnded(client, journal, orders, each)),
    DRAIN_MS,
    signal,
  );
  say(
    `${drained ? 'everything had its end' : 'gave up'} after ${seconds(Date.now() - drainedFrom)}`,
  );
  journal.addCallTimes(lambda.invocations);
  const causes = [...faults, ...endsOfPullers(lambda.invocations)].sort((a, b) => a.at - b.at);
  const evidence: Evidence[] = [];
  for (const order of orders) evidence.push(await gather(rocketmq, journal, order, causes));
  return judge(evidence, rocketmq, { drained, missed, startedAt, each });
}

/** Waits until the condition holds. False: not in time. */
async function reached(
  holds: () => boolean | Promise<boolean>,
  withinMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  for (const giveUpAt = Date.now() + withinMs; !(await holds()); ) {
    if (Date.now() > giveUpAt) return false;
    await sleep(200, undefined, { signal });
  }
  return true;
}

/** The schedule: a new coordinator at its time, while the one before may still run. */
function keepCoordinating({ lambda, atEnd }: World, say: (line: string) => void): void {
  const client = new LambdaClient({ ...LOCAL, endpoint: lambda.endpoint });
  const invoke = (): void => {
    const run = { FunctionName: COORDINATOR, InvocationType: 'Event', Payload: '{}' } as const;
    client
      .send(new InvokeCommand(run))
      .catch((error: unknown) => say(`could not invoke the coordinator: ${String(error)}`));
  };
  invoke();
  const timer = setInterval(invoke, SCHEDULE_MS);
  atEnd(async () => {
    clearInterval(timer);
    client.destroy();
  });
}

async function letFaultsHappen(
  targets: FaultTargets,
  plan: ReturnType<typeof planFaults>,
  signal: AbortSignal,
  onFault: (fault: Fault, number: number) => void,
): Promise<{ readonly faults: readonly Fault[]; readonly missed: readonly string[] }> {
  const faults: Fault[] = [];
  const missed: string[] = [];
  const thaws: Promise<void>[] = [];
  for (const [index, planned] of plan.entries()) {
    await sleep(planned.afterMs, undefined, { signal });
    const injected = await injectFault(targets, planned, signal, (fault) => {
      faults.push(fault);
      onFault(fault, index + 1);
    });
    if (injected === undefined) missed.push(`fault ${index + 1}, ${planned.kind}: no target`);
    else thaws.push(injected.thawed);
  }
  await Promise.all(thaws);
  return { faults, missed };
}

function settledFor(ms: number, holds: () => Promise<boolean>): () => Promise<boolean> {
  let since: number | undefined;
  return async () => {
    since = (await holds().catch(() => false)) ? (since ?? Date.now()) : undefined;
    return since !== undefined && Date.now() - since >= ms;
  };
}

/** Every message is stored, done or dead, and every queue is committed to its end. */
async function everythingEnded(
  client: RocketMQClient,
  journal: Journal,
  orders: readonly Order[],
  each: number,
): Promise<boolean> {
  for (const order of orders) {
    const ended = journal.done(order).size + journal.dead(order).size;
    if ((journal.stored.get(order)?.length ?? 0) < each || ended < each) return false;
    for (const topic of [topicOf(order), retryTopic(groupOf(order))]) {
      const route = await client.topicRoute(topic).catch(() => undefined);
      for (const queue of route === undefined ? [] : readableQueues(route))
        if ((await client.queryOffset(groupOf(order), queue)) !== (await client.maxOffset(queue)))
          return false;
    }
  }
  return true;
}

async function gather(
  { nameServer }: RealRocketMQ,
  journal: Journal,
  order: Order,
  faults: readonly Fault[],
): Promise<Evidence> {
  return {
    order,
    topic: topicOf(order),
    deliveries: journal.deliveries.filter((delivery) => delivery.order === order),
    faults,
    stored: journal.stored.get(order) ?? [],
    entries: await readTopic(nameServer, topicOf(order)),
    delayed: (await readTopic(nameServer, DELAYED_TOPIC).catch(() => [])).filter(
      ({ realTopic }) => realTopic === retryTopic(groupOf(order)),
    ),
    // The broker makes them for the first message that they get.
    redelivered: await readTopic(nameServer, retryTopic(groupOf(order))).catch(() => []),
    deadLetters: await readTopic(nameServer, dlqTopic(groupOf(order))).catch(() => []),
  };
}

interface ReadEntry extends TopicEntry {
  /** Of a delayed message: where it goes. */
  readonly realTopic: string;
}

async function readTopic(nameServer: string, topic: string): Promise<ReadEntry[]> {
  interface Line extends Omit<ReadEntry, 'seq' | 'key'> {
    readonly seq: string;
    readonly keys: string;
  }
  const lines = jsonLines<Line>(await runJava('ReadTopic', [nameServer, topic]));
  return lines.map(({ seq, keys, ...line }) => ({ ...line, seq: Number(seq), key: keys }));
}

async function judge(
  evidence: readonly Evidence[],
  { nameServer }: RealRocketMQ,
  run: {
    readonly drained: boolean;
    readonly missed: readonly string[];
    readonly startedAt: number;
    readonly each: number;
  },
): Promise<FaultRunResult> {
  const costs = costsOf(evidence);
  const unexplained = evidence.flatMap(repeatsOf).filter(({ fault }) => fault === undefined);
  const checks: Check[] = [
    { name: 'every planned fault happened', errors: run.missed },
    {
      name: 'everything had its end and was committed',
      errors: run.drained ? [] : [`not within ${DRAIN_MS / 1000} s`],
    },
  ];
  for (const each of evidence) {
    const { order } = each;
    const progress = await mqadmin(nameServer, ['consumerProgress', '-g', groupOf(order)]);
    const lag = /Diff Total: (\d+)/.exec(progress)?.[1];
    const lost = lostMessages(each);
    checks.push(
      {
        name: `${order}: every message is done or in the DLQ`,
        errors: [
          ...(each.stored.length === run.each
            ? []
            : [`only ${each.stored.length} of ${run.each} were stored`]),
          ...lost.map((seq) => `message ${seq} is lost`),
        ],
      },
      {
        name: `${order}: the DLQ has each dead message and no other`,
        errors: deadLetterErrors(each),
      },
      { name: `${order}: mqadmin sees no lag`, errors: lag === '0' ? [] : [progress] },
    );
    if (order !== 'none') checks.push({ name: `${order}: in order`, errors: orderErrors(each) });
  }
  checks.push(
    {
      name: 'no fault repeated more than its bound',
      errors: costs
        .filter((cost) => excess(cost) > 0)
        .map(
          ({ fault, repeats, bound }) =>
            `${fault.kind} at ${seconds(fault.at - run.startedAt)}: ${repeats.length} repeated, bound ${bound}, for example ${repeats.slice(0, 3).map(describeRepeat).join('; ')}`,
        ),
    },
    {
      name: 'nothing was repeated without a fault',
      errors: unexplained.map(describeRepeat),
    },
  );
  return { checks, costs, startedAt: run.startedAt, summary: evidence.map(summaryOf) };
}

function summaryOf(evidence: Evidence): string {
  const { order, deliveries, deadLetters, stored, entries } = evidence;
  const { failedAgain, sentAgain } = extraDeadLettersOf(evidence);
  const repeated = repeatsOf(evidence).length;
  return (
    `${order}: ${stored.length} messages (${entries.length - stored.length} of them stored twice by their producer), ` +
    `${deliveries.length} deliveries (${repeated} of them repeated; ${doubledByBroker(evidence)} redeliveries doubled by the broker), ${deadLetters.length} entries in the DLQ ` +
    `(${failedAgain} because the last delivery was repeated, ${sentAgain} because the send to the DLQ was)`
  );
}
