import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { TopicNotFoundError } from '../../src/errors.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { readableQueues } from '../../src/model/route.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { print, printError, printFailure, printStyled } from '../print.ts';
import { type OfflineService, startOffline } from './offline.ts';
import { startDynamoDB, startRocketMQ } from './parts.ts';
import { allCommitted, type QueueSnapshot, snapshotQueues } from './queue-snapshot.ts';
import { startReportServer } from './report-server.ts';
import {
  CONSOLE_LINE,
  openStore,
  READY_LINE,
  sampleGroup,
  sampleTopic,
  serviceEnvironment,
} from './sample-service.ts';
import { RunTally, type Tally } from './tally.ts';
import { LiveView, renderView } from './view.ts';
import { orderMessage, planOrders, type SampleOrder } from './workload.ts';

const QUEUES = 8;
const VIEW_INTERVAL_MS = 500;
/** Sends in flight at a time. */
const SEND_WINDOW = 32;

export interface LocalRunOptions {
  readonly runId: string;
  readonly messages: number;
  readonly json: boolean;
  readonly keep: boolean;
  readonly nameServers: readonly string[] | undefined;
  readonly realBroker: boolean;
  /** embedded, real or a URL. */
  readonly dynamodb: string;
  /** performance.now() at the start of the command. */
  readonly started: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Runs the sample service over one run's messages. Returns the exit code: 0 only if nothing was lost and everything is committed. */
export async function runLocal(options: LocalRunOptions): Promise<number> {
  const { say, signal } = options;
  const stops: (() => Promise<unknown>)[] = [];
  const log: string[] = [];
  try {
    const [rocketmq, dynamodb] = await Promise.all([
      startRocketMQ({ addresses: options.nameServers, real: options.realBroker }),
      startDynamoDB({
        endpoint: URL.canParse(options.dynamodb) ? options.dynamodb : undefined,
        real: options.dynamodb === 'real',
      }),
    ]);
    stops.push(
      () => dynamodb.stop(),
      () => rocketmq.stop(),
    );
    say(
      `${rocketmq.name} at ${rocketmq.nameServers.join(';')}, ${dynamodb.name} at ${dynamodb.endpoint}  (${seconds(options.started)} s)`,
    );

    const client = createRocketMQClient({ nameServers: rocketmq.nameServers });
    stops.push(() => client.close());
    await client.createTopic(
      sampleTopic,
      { readQueueNums: QUEUES, writeQueueNums: QUEUES },
      { signal },
    );

    say('starting serverless offline (the first time about 20 s) …');
    const tally = new RunTally(options.runId);
    const reports = await startReportServer((delivery) => tally.delivered(delivery));
    stops.push(() => reports.stop());
    const service = await startOffline(
      serviceEnvironment(rocketmq.nameServers, dynamodb.endpoint, reports.url),
      (line) => {
        log.push(line);
        if (line.includes(CONSOLE_LINE))
          say(line.slice(line.indexOf(CONSOLE_LINE) + 'rocketmq: '.length));
      },
      (line) => line.includes(READY_LINE),
      signal,
    );
    stops.push(() => service.stop());
    say(
      `service under serverless offline, lambda port ${service.lambdaPort}  (${seconds(options.started)} s)`,
    );

    const outcome = await watchRun({
      ...options,
      client,
      dynamodbEndpoint: dynamodb.endpoint,
      tally,
      service,
    });
    if (outcome.ended === 'interrupted') {
      say(
        `interrupted: ${outcome.tally.distinct} of ${options.messages} messages handled, nothing decided; draining`,
      );
      return 130;
    }
    const exitCode = report(options, outcome);
    if (exitCode !== 0 && log.length > 0)
      printError(`last lines of the service:\n${log.slice(-40).join('\n')}`);
    if (options.keep && !signal.aborted) {
      say('staying up (--keep); Ctrl-C drains and ends');
      await Promise.race([
        new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true })),
        service.ended,
      ]);
      say('draining: batches in flight finish, offsets commit, leases are released');
    }
    return exitCode;
  } catch (error) {
    printFailure(error);
    if (signal.aborted) return 130;
    if (log.length > 0) printError(`last lines of the service:\n${log.slice(-40).join('\n')}`);
    return 1;
  } finally {
    for (const stop of stops.reverse())
      await stop().catch((error: unknown) => printError(`while stopping: ${String(error)}`));
  }
}

interface Outcome {
  readonly tally: Tally;
  readonly queues: readonly QueueSnapshot[];
  readonly ended: 'complete' | 'timeout' | 'interrupted' | 'service ended';
  readonly seconds: number;
}

type Watched = LocalRunOptions & {
  client: RocketMQ;
  dynamodbEndpoint: string;
  tally: RunTally;
  service: OfflineService;
};

/** Sends the run's messages and looks twice a second until all of them have found their end and every queue is committed. */
async function watchRun(run: Watched): Promise<Outcome> {
  const { client, tally, signal } = run;
  const { store } = openStore(run.dynamodbEndpoint);
  const view = new LiveView(run.json ? process.stderr : process.stdout);
  const firstSent = performance.now();
  const producing = produce(client, planOrders(run.runId, run.messages), tally, signal);
  const giveUpAt = firstSent + patienceMs(run);
  const deadLetters = new DeadLetters(client, run.runId, tally);
  let serviceEnded = false;
  const onEnd = (): void => {
    serviceEnded = true;
  };
  run.service.ended.then(onEnd, onEnd);
  // Its error is thrown by the race below, which the first snapshot may keep waiting.
  producing.catch(() => {});
  for (;;) {
    const [queues] = await Promise.all([
      snapshotQueues(client, store, sampleGroup, [sampleTopic], Date.now()),
      deadLetters.read(),
    ]);
    const count = tally.count();
    view.show(queues, count, run.messages, (performance.now() - firstSent) / 1000);
    const complete = count.produced === run.messages && count.lost === 0 && allCommitted(queues);
    const ended = complete
      ? 'complete'
      : signal.aborted
        ? 'interrupted'
        : serviceEnded
          ? 'service ended'
          : performance.now() > giveUpAt
            ? 'timeout'
            : undefined;
    if (ended !== undefined) {
      view.clear();
      if (ended === 'complete') await producing;
      return { tally: count, queues, ended, seconds: (performance.now() - firstSent) / 1000 };
    }
    await Promise.race([
      sleep(VIEW_INTERVAL_MS),
      producing
        .catch((error: unknown) => Promise.reject(error))
        .then(() => sleep(VIEW_INTERVAL_MS)),
    ]);
  }
}

/** A user's own cluster has stock delay levels (10 s and more), which take their time. */
function patienceMs(run: LocalRunOptions): number {
  return (run.nameServers === undefined ? 50_000 : 360_000) + run.messages * 5;
}

async function produce(
  client: RocketMQ,
  orders: readonly SampleOrder[],
  tally: RunTally,
  signal: AbortSignal,
): Promise<void> {
  let next = 0;
  const sender = async (): Promise<void> => {
    for (
      let order = orders[next++];
      order !== undefined && !signal.aborted;
      order = orders[next++]
    ) {
      // Counted before it is sent: a handler may report it before the broker's answer is here.
      tally.sent(order);
      await client.send(orderMessage(sampleTopic, order), { signal }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: SEND_WINDOW }, sender));
}

/** Reads the group's DLQ as it grows. */
class DeadLetters {
  readonly #client: RocketMQ;
  readonly #tally: RunTally;
  readonly #runId: string;
  readonly #next = new Map<number, bigint>();

  constructor(client: RocketMQ, runId: string, tally: RunTally) {
    this.#client = client;
    this.#runId = runId;
    this.#tally = tally;
  }

  async read(): Promise<void> {
    const topic = dlqTopic(sampleGroup.consumerGroup);
    const route = await this.#client.topicRoute(topic, { fresh: true }).catch((error: unknown) => {
      if (error instanceof TopicNotFoundError) return undefined;
      throw error;
    });
    if (route === undefined) return;
    for (const queue of readableQueues(route)) {
      const offset = this.#next.get(queue.queueId) ?? (await this.#client.minOffset(queue));
      const result = await this.#client.pull({
        consumerGroup: `${sampleGroup.consumerGroup}-dlq-reader`,
        queue,
        offset,
        subscription: buildSubscription(topic, '*'),
        maxMessages: 32,
        suspendMs: 0,
      });
      this.#next.set(queue.queueId, result.nextBeginOffset);
      if (result.status !== 'FOUND') continue;
      for (const message of result.messages) {
        const order = JSON.parse(message.body.toString('utf8')) as SampleOrder;
        if (order.runId === this.#runId) this.#tally.deadLettered(order);
      }
    }
  }
}

function report(options: LocalRunOptions, outcome: Outcome): number {
  const { tally, queues, ended } = outcome;
  const good = ended === 'complete' && tally.lost === 0;
  if (!good)
    printError(
      `the run did not complete (${ended}): ${tally.lost} of ${tally.produced} messages not handled, or offsets not committed`,
    );
  if (options.json) {
    const { produced, handled, distinct, redelivered, deadLettered, lost, duplicates } = tally;
    const summary = {
      group: sampleGroup.consumerGroup,
      topics: [sampleTopic],
      produced,
      handled,
      distinct,
      redelivered,
      deadLettered,
      lost,
      duplicates,
      seconds: Number(outcome.seconds.toFixed(1)),
      queues: queues.map(({ queue, committed, max }) => ({
        ...queue,
        committed: Number(committed ?? 0n),
        max: Number(max),
      })),
    };
    print(JSON.stringify(summary));
  } else {
    printStyled(`${renderView(queues, tally, options.messages, outcome.seconds)}\n`);
    options.say(
      [
        '',
        `produced       ${tally.produced}`,
        `handled        ${tally.distinct} different messages, ${tally.duplicates} duplicates`,
        `redelivered    ${tally.redelivered} deliveries after a failure`,
        `dead-lettered  ${tally.deadLettered} in ${dlqTopic(sampleGroup.consumerGroup)}`,
        `lost           ${tally.lost}`,
        `committed      ${allCommitted(queues) ? 'every queue to its end' : 'NOT every queue to its end'}`,
        `time           ${outcome.seconds.toFixed(1)} s, ${seconds(options.started)} s with start-up`,
        good ? 'OK' : 'FAILED',
      ].join('\n'),
    );
  }
  return good ? 0 : 1;
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(1);
}
