/**
 * A puller as Lambda with 512 MB runs it, as a process of its own: bounded-puller.ts NAMESERVERS TABLE_ENDPOINT QUEUES
 * MESSAGES BATCH_SIZE [pop]. Handles MESSAGES slowly and prints one line of JSON: its memory before and at most, in MiB.
 * `pop`: a broker in this process gives as many messages of 1 MiB as are asked for.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { createInlineHandler } from '../../src/delivery/inline-handler.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { Message } from '../../src/model/message.ts';
import type { PopHandle } from '../../src/model/pop.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { runPuller } from '../../src/puller/run-puller.ts';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { silentLogger, source, subscription } from './coordinator-world.ts';
import { connect, TABLE, TENANT } from './databases.ts';
import { messageAt } from './records.ts';

const MIB = 1024 * 1024;
const INVOCATION_MS = 120_000;
const HANDLER_MS = 150;
const [nameServers = '', endpoint = '', queueCount, messageCount, batchSize, mode] =
  process.argv.slice(2);

/** A broker with any number of messages of 1 MiB. */
function popping(): Pick<RocketMQ, 'pop' | 'ack' | 'changeInvisibleTime'> {
  let offset = 0;
  const next = (): Message =>
    messageAt(offset, {
      body: Buffer.alloc(MIB, 'x'),
      // Messages of one id go in events of their own.
      properties: { UNIQ_KEY: `id-${offset++}` },
    });
  const handleOf = (queueOffset: bigint, invisibleMs: number): PopHandle => ({
    ckQueueOffset: 0n,
    popTime: BigInt(Date.now()),
    invisibleTime: BigInt(invisibleMs),
    reviveQid: 0,
    retryMark: 0,
    brokerName: 'broker-a',
    queueId: 0,
    queueOffset,
  });
  return {
    async pop({ maxMessages, invisibleMs }) {
      await sleep(1);
      const messages = Array.from({ length: maxMessages }, next).map((message) => ({
        message,
        handle: handleOf(message.queueOffset, invisibleMs),
      }));
      return { messages, filteredOut: [], undecodable: [], full: false };
    },
    ack: () => Promise.resolve(),
    changeInvisibleTime: (_group, _topic, handle) => Promise.resolve(handle),
  };
}

const dynamodb = await connect(endpoint);
const store = createAssignmentStore(dynamodb, TABLE, { keys: TENANT, newToken: randomUUID });
const group = { cluster: 'default', consumerGroup: 'bounded' };
const queues = Array.from({ length: Number(queueCount) }, (_, queueId) => ({
  topic: 'orders',
  brokerName: 'broker-a',
  queueId,
  ...(mode === 'pop' && { pops: true as const }),
}));
for (const queue of queues) await store.create(group, queue, 0, 0n);
const client = createRocketMQClient({ nameServers: [nameServers] });
const endsAt = Date.now() + INVOCATION_MS;
const done = new AbortController();
let handled = 0;
const handler = createInlineHandler(
  async ({ Records }: RocketMQEvent) => {
    await sleep(HANDLER_MS);
    handled += Records.length;
    if (handled >= Number(messageCount)) done.abort();
  },
  () => ({}) as Context,
);
const before = process.memoryUsage().rss;
let peak = before;
const sampling = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage().rss);
}, 10);
await runPuller(
  { ...group, slot: 0, queues, notAfter: endsAt },
  {
    service: {
      service: 'shop',
      stage: 'dev',
      clusters: { default: { nameServers: [nameServers] } },
      sources: [
        source([subscription('orders', { batchSize: Number(batchSize) })], {
          ...group,
          ...(mode === 'pop' ? { mode: 'pop' as const } : {}),
        }),
      ],
    },
    client: mode === 'pop' ? { ...client, ...popping() } : client,
    store,
    handlers: () => handler,
    clock: systemClock,
    logger: silentLogger,
    random: Math.random,
    holder: randomUUID(),
    remainingMs: () => endsAt - Date.now(),
    signal: done.signal,
    memoryBytes: 512 * MIB,
    collectGarbage,
  },
);
clearInterval(sampling);
const inMiB = (bytes: number): number => Math.round(bytes / MIB);
process.stdout.write(
  `${JSON.stringify({ handled, baseMiB: inMiB(before), peakMiB: inMiB(peak) })}\n`,
);
process.exit(0);
