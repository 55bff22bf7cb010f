/**
 * Delivers many messages and looks at the heap: own-growth.ts NAMESERVER TABLE_ENDPOINT TOPIC MODE MESSAGES SECONDS. Needs --expose-gc.
 * Prints one line of JSON: what is in use after the garbage collector, at eleven places of the way.
 */

import { PullConsumer } from '../src/consumer/index.ts';
import type { RocketMQEvent } from '../src/model/event.ts';
import type { SourceConfig, SubscriptionConfig } from '../src/model/source.ts';
import { runPuller } from '../src/puller/run-puller.ts';
import { benchSource, openPuller } from './puller-setup.ts';

const MIB = 1024 * 1024;
const SAMPLES = 10;
const ARN = 'arn:aws:sqs:eu-west-1:000000000000:failed';

const [nameServer = '', endpoint = '', topic = '', mode = '', messages, seconds] =
  process.argv.slice(2);
const total = Number(messages);
const group = `growth-${mode}-${process.version.split('.')[0]}`;

const done = new AbortController();
const heapMiB: number[] = [];
let delivered = 0;
let next = 0;

/** In use, with what is in hand: at most a few hundred messages of 100 bytes. */
function note(count: number): void {
  delivered += count;
  if (delivered < next) return;
  next += total / SAMPLES;
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  heapMiB.push(Math.round(((heapUsed + arrayBuffers) / MIB) * 10) / 10);
  if (delivered >= total) done.abort();
}

function handle(event: RocketMQEvent): unknown {
  note(event.Records.length);
  return mode !== 'onFailure'
    ? undefined
    : { batchItemFailures: event.Records.map(({ messageId }) => ({ itemIdentifier: messageId })) };
}

const OPTIONS: Readonly<Record<string, Partial<SubscriptionConfig>>> = {
  consumeTimeout: { consumeTimeout: 60 },
  onFailure: { maximumRetryAttempts: 0, onFailure: { type: 'sqs', arn: ARN } },
  ordered: { order: { by: 'queue', suspendCurrentQueueTimeMillis: 1_000 } },
};

async function pullWithConsumer(): Promise<void> {
  // Without `await using`: Node 22 does not know it.
  const consumer = new PullConsumer({ consumerGroup: group, nameServers: [nameServer] });
  const options = {
    signal: done.signal,
    commitIntervalMs: 1_000,
    startingPosition: 'TRIM_HORIZON' as const,
  };
  for await (const message of consumer.messages(topic, options))
    note(message.body.length > 0 ? 1 : 0);
  await consumer.close();
}

async function pullWithPuller(): Promise<void> {
  const base = benchSource(topic, group, 32);
  const source: SourceConfig = {
    ...base,
    subscriptions: base.subscriptions.map((subscription) => ({
      ...subscription,
      ...OPTIONS[mode],
    })),
    ...(mode === 'pop' ? { mode } : {}),
  };
  const { request, deps, close } = await openPuller(nameServer, endpoint, source, handle);
  const brokers = new Set(request.queues.map(({ brokerName }) => brokerName));
  const units = [...brokers].map((brokerName) => ({
    topic,
    brokerName,
    queueId: 0,
    pops: true as const,
  }));
  const queues = mode === 'pop' ? units : request.queues;
  if (mode === 'pop') for (const queue of queues) await deps.store.create(source, queue, 0, 0n);
  await runPuller(
    { ...request, queues },
    {
      ...deps,
      signal: done.signal,
      destinations: { sqs: { deliver: () => Promise.resolve() } },
      options: { flowLimits: { maxMessages: 64, maxBytes: MIB, maxSpan: 2_000 } },
    },
  );
  await close();
}

const startedAt = performance.now();
setTimeout(() => done.abort(), Number(seconds) * 1_000);
await (mode === 'PullConsumer' ? pullWithConsumer() : pullWithPuller());
const took = Math.round((performance.now() - startedAt) / 1_000);
process.stdout.write(`${JSON.stringify({ mode, delivered, seconds: took, heapMiB })}\n`);
process.exit(0);
