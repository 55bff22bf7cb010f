/** Milliseconds from before the send to the handler, in one process: own-latency.ts NAMESERVER TABLE_ENDPOINT TOPIC COUNT PAUSE_MS GROUP. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runPuller } from '../src/puller/run-puller.ts';
import { benchSource, openPuller } from './puller-setup.ts';

const [nameServer = '', endpoint = '', topic = '', countText = '0', pause = '20', group = ''] =
  process.argv.slice(2);
const latencies: number[] = [];
const done = new AbortController();
const setup = await openPuller(nameServer, endpoint, benchSource(topic, group, 1), (event) => {
  const now = performance.now();
  for (const { body } of event.Records) latencies.push(now - Number(body));
});
const working = runPuller(setup.request, { ...setup.deps, signal: done.signal });
await sleep(5_000);
latencies.length = 0;
for (let i = 0; i < Number(countText); i++) {
  await setup.client.send({ topic, body: Buffer.from(String(performance.now())) });
  await sleep(Number(pause));
}
await sleep(1_000);
done.abort();
await working;
const sorted = latencies.toSorted((a, b) => a - b);
const at = (share: number): number =>
  Number((sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(2));
process.stdout.write(
  `${JSON.stringify({ messages: sorted.length, p50: at(0.5), p99: at(0.99) })}\n`,
);
await setup.close();
process.exit(0);
