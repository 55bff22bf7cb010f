/** A puller with an inline handler, as a process of its own: own-consumer.ts NAMESERVER TABLE_ENDPOINT TOPIC COUNT BATCH GROUP. Prints one JSON line. */
import { runPuller } from '../src/puller/run-puller.ts';
import { benchSource, openPuller } from './puller-setup.ts';

const [nameServer = '', endpoint = '', topic = '', countText = '0', batch = '32', group = ''] =
  process.argv.slice(2);
const count = Number(countText);
const done = new AbortController();
let consumed = 0;
let first = 0;

const setup = await openPuller(
  nameServer,
  endpoint,
  benchSource(topic, group, Number(batch)),
  (event) => {
    if (first === 0) first = performance.now();
    consumed += event.Records.length;
    if (consumed >= count && !done.signal.aborted) {
      process.stdout.write(
        `${JSON.stringify({ messages: consumed, seconds: (performance.now() - first) / 1000 })}\n`,
      );
      done.abort();
    }
  },
);
await runPuller(setup.request, { ...setup.deps, signal: done.signal });
await setup.close();
process.exit(0);
