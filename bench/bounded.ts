import { zstdCompressSync } from 'node:zlib';
import { runJava } from '../test/support/java.ts';
import { connectRaw } from '../test/support/raw-connection.ts';
import { runOwn } from './own-process.ts';
import type { Place } from './report.ts';

const MIB = 1024 * 1024;
const SECONDS = 90;
/** What Lambda's runtime gives the heap of a function of 512 MB. */
const HEAP_OPTION = '--max-old-space-size=460';
/** NEED_UNWRAP is not set; compressed with zstd. */
const ZSTD = 0x201;
const SEND_MESSAGE_V2 = 310;

interface Held {
  readonly handled: number;
  readonly seconds: number;
  readonly baseMiB: number;
  readonly peakMiB: number;
  readonly countedMiB: number;
}

/** Peak RSS of a puller of 512 MB under loads that would fill it many times over. */
export async function measureBounded({ nameServer, endpoint, client, note }: Place): Promise<void> {
  const measure = async (
    what: string,
    topic: string,
    messages: number,
    batch: number,
    mode = 'pull',
  ): Promise<void> => {
    const args = [nameServer, endpoint, topic, `${topic}-${mode}`, messages, batch, SECONDS, mode];
    const held = await runOwn<Held>('./own-bounded.ts', args.map(String), [HEAP_OPTION]);
    const { handled, seconds, baseMiB, peakMiB, countedMiB } = held;
    note({
      what: `${what}: ${handled} handled in ${seconds} s, before`,
      value: baseMiB,
      unit: 'MiB RSS',
    });
    note({ what: `${what}: counted at most`, value: countedMiB, unit: 'MiB' });
    note({ what: `${what}: peak`, value: peakMiB, unit: 'MiB RSS' });
  };
  const create = (topic: string, queues: number): Promise<void> =>
    client.createTopic(topic, { readQueueNums: queues, writeQueueNums: queues });
  const produce = (topic: string, count: number, bytes: number): Promise<unknown> =>
    runJava('Produce', [
      nameServer,
      topic,
      String(count),
      String(bytes),
      bytes > 4096 ? '1' : '16',
    ]);

  await create('bounded-large', 64);
  await produce('bounded-large', 192, 4_000_000);
  await measure('64 queues, 192 x 4 MB', 'bounded-large', 192, 10);

  await create('bounded-expanding', 8);
  await sendExpanding(nameServer, client, 'bounded-expanding', 32);
  await measure('32 x 60 MiB from 6 KiB', 'bounded-expanding', 32, 10);

  await create('bounded-pop', 8);
  await produce('bounded-pop', 1_000, MIB);
  await measure('pop, 1,000 x 1 MiB', 'bounded-pop', 1_000, 100, 'pop');

  await create('bounded-small', 64);
  await produce('bounded-small', 100_000, 1024);
  await measure('64 queues, 100,000 x 1 KiB', 'bounded-small', 100_000, 10);
}

async function sendExpanding(
  nameServer: string,
  client: Place['client'],
  topic: string,
  count: number,
): Promise<void> {
  const { brokers } = await client.topicRoute(topic, { fresh: true });
  const address = brokers[0]?.brokerAddrs.get(0);
  if (address === undefined) throw new Error(`no broker of ${topic} at ${nameServer}`);
  const connection = await connectRaw(address);
  const fields = { a: 'p', b: topic, c: 'TBW102', d: 4, f: ZSTD, h: 0, i: '', j: 0 };
  const body = zstdCompressSync(Buffer.alloc(60 * MIB, 'nothing happened here\n'));
  for (let sent = 0; sent < count; sent++)
    await connection.call(
      SEND_MESSAGE_V2,
      { ...fields, e: sent % 8, g: Date.now(), k: false, m: false },
      { body },
    );
  connection.close();
}
