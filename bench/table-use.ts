import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { runCoordinator } from '../src/coordinator/run-coordinator.ts';
import { runPuller } from '../src/puller/run-puller.ts';
import { benchSource, openPuller } from './puller-setup.ts';
import type { Place } from './report.ts';

const QUEUES = 8;
const BUSY_MS = 60_000;
const COORDINATOR_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Requests to the table per queue and hour: a puller with steady work, and a coordinator that watches idle queues. */
export async function measureTableUse({
  nameServer,
  endpoint,
  client,
  note,
}: Place): Promise<void> {
  const topic = 'bench-table';
  await client.createTopic(topic, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  const source = benchSource(topic, 'table-group', 32);
  const setup = await openPuller(nameServer, endpoint, source, () => {});
  const counts = countRequests(setup.dynamodb);
  const done = new AbortController();
  const began = performance.now();
  const working = runPuller(setup.request, { ...setup.deps, signal: done.signal });
  while (performance.now() - began < BUSY_MS) {
    await client.send({ topic, body: Buffer.from('x') });
    await sleep(20);
  }
  done.abort();
  await working;
  tell('busy', counts, (performance.now() - began) / HOUR_MS, note);

  counts.reads = 0;
  counts.writes = 0;
  const endsAt = Date.now() + COORDINATOR_MS;
  const idle = performance.now();
  await runCoordinator({
    ...setup.deps,
    clients: () => client,
    invoker: { invoke: async () => {} },
    remainingMs: () => endsAt - Date.now(),
  });
  tell('idle, watched', counts, (performance.now() - idle) / HOUR_MS, note);
  await setup.close();
}

interface Counts {
  reads: number;
  writes: number;
}

function countRequests(dynamodb: DynamoDBClient): Counts {
  const counts: Counts = { reads: 0, writes: 0 };
  dynamodb.middlewareStack.add(
    (next, context) => (args) => {
      if (/^(Query|GetItem)/.test(context.commandName ?? '')) counts.reads++;
      else counts.writes++;
      return next(args);
    },
    { step: 'initialize' },
  );
  return counts;
}

function tell(state: string, { reads, writes }: Counts, hours: number, note: Place['note']): void {
  note({
    what: `table reads per queue-hour, ${state}`,
    value: Math.round(reads / QUEUES / hours),
    unit: 'requests',
  });
  note({
    what: `table writes per queue-hour, ${state}`,
    value: Math.round(writes / QUEUES / hours),
    unit: 'requests',
  });
}
