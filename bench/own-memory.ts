/**
 * A puller with a handler that is slower than its broker, as a process of its own: own-memory.ts NAMESERVER TABLE_ENDPOINT TOPIC GROUP SECONDS.
 * Prints one line of JSON: what the process held before the first message and at most afterwards.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { runPuller } from '../src/puller/run-puller.ts';
import { benchSource, openPuller } from './puller-setup.ts';

const [nameServer = '', endpoint = '', topic = '', group = '', seconds = '10'] =
  process.argv.slice(2);
const HANDLER_MS = 400;
const SAMPLE_MS = 20;
const LIVE_SAMPLE_MS = 500;

const done = new AbortController();
let handled = 0;
const setup = await openPuller(
  nameServer,
  endpoint,
  benchSource(topic, group, 32),
  async (event) => {
    await sleep(HANDLER_MS);
    handled += event.Records.length;
  },
);
const before = process.memoryUsage();
let rss = before.rss;
/** What is in use, without what waits for the garbage collector. */
const live = (): number => {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};
const liveBefore = live();
let mostLive = liveBefore;
const sampling = setInterval(() => {
  rss = Math.max(rss, process.memoryUsage().rss);
}, SAMPLE_MS);
const samplingLive = setInterval(() => {
  mostLive = Math.max(mostLive, live());
}, LIVE_SAMPLE_MS);
setTimeout(() => done.abort(), Number(seconds) * 1000);
await runPuller(setup.request, { ...setup.deps, signal: done.signal });
clearInterval(sampling);
clearInterval(samplingLive);
await setup.close();
const mebibytes = (bytes: number): number => Math.round(bytes / 1024 / 1024);
process.stdout.write(
  `${JSON.stringify({ handled, queues: setup.request.queues.length, baseMiB: mebibytes(before.rss), peakMiB: mebibytes(rss), liveMiB: mebibytes(mostLive - liveBefore) })}\n`,
);
process.exit(0);
