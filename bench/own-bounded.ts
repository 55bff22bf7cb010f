/**
 * A puller of 512 MB as a process of its own: own-bounded.ts NAMESERVER TABLE_ENDPOINT TOPIC GROUP MESSAGES BATCH SECONDS [pop].
 * Handles MESSAGES slowly, or as many as it can within SECONDS, and prints one line of JSON.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryBudget } from '../src/decide/pull/memory-budget.ts';
import type { SourceConfig } from '../src/model/source.ts';
import { runPuller } from '../src/puller/run-puller.ts';
import { collectGarbage } from '../src/runtime/collect-garbage.ts';
import { benchSource, openPuller } from './puller-setup.ts';

const MIB = 1024 * 1024;
const MEMORY_BYTES = 512 * MIB;
const HANDLER_MS = 150;
const SAMPLE_MS = 5;

const [nameServer = '', endpoint = '', topic = '', group = '', messages, batch, seconds, mode] =
  process.argv.slice(2);

/** What the kernel counted, also between two samples. */
function residentMiB(field: 'VmRSS' | 'VmHWM'): number {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(
    readFileSync('/proc/self/status', 'utf8'),
  );
  return Math.round(Number(kib?.[1]) / 1024);
}

const done = new AbortController();
const startedAt = performance.now();
let handled = 0;
const pops = mode === 'pop';
const source: SourceConfig = {
  ...benchSource(topic, group, Number(batch)),
  ...(pops ? { mode: 'pop' as const } : {}),
};
const { request, deps, close } = await openPuller(nameServer, endpoint, source, async (event) => {
  await sleep(HANDLER_MS);
  handled += event.Records.length;
  if (handled >= Number(messages)) done.abort();
});
const queues = pops
  ? [...new Set(request.queues.map(({ brokerName }) => brokerName))].map((brokerName) => ({
      topic,
      brokerName,
      queueId: 0,
      pops: true as const,
    }))
  : request.queues;
if (pops) for (const queue of queues) await deps.store.create(source, queue, 0, 0n);
const baseMiB = residentMiB('VmRSS');
const memory = new MemoryBudget(MEMORY_BYTES, queues.length, collectGarbage);
let countedBytes = 0;
const sampling = setInterval(() => {
  const { stored, delivered } = memory.used;
  countedBytes = Math.max(countedBytes, stored + delivered);
}, SAMPLE_MS);
setTimeout(() => done.abort(), Number(seconds) * 1000);
await runPuller(
  { ...request, queues },
  { ...deps, memory, memoryBytes: MEMORY_BYTES, signal: done.signal },
);
clearInterval(sampling);
const took = (performance.now() - startedAt) / 1000;
process.stdout.write(
  `${JSON.stringify({ handled, seconds: Math.round(took), baseMiB, peakMiB: residentMiB('VmHWM'), countedMiB: Math.round(countedBytes / MIB) })}\n`,
);
await close();
process.exit(0);
