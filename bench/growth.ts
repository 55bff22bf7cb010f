import { runJava } from '../test/support/java.ts';
import { runOwn } from './own-process.ts';
import { median, type Place } from './report.ts';

const MESSAGES = 500_000;
const BODY_BYTES = 100;
const QUEUES = 8;
const MAX_SECONDS = 900;
/** Between the medians of the two halves: noise of what is in hand. */
const MAX_GROWTH_MIB = 4;
const MODES = ['consumeTimeout', 'onFailure', 'ordered', 'pop', 'PullConsumer'] as const;

interface Grown {
  readonly delivered: number;
  readonly seconds: number;
  readonly heapMiB: readonly number[];
}

/** The heap after 500,000 messages in each mode. @throws Error when it has grown */
export async function measureGrowth({ nameServer, endpoint, client, note }: Place): Promise<void> {
  const topic = 'bench-growth';
  await client.createTopic(topic, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  await runJava('Produce', [nameServer, topic, String(MESSAGES), String(BODY_BYTES), '64']);
  const grown: string[] = [];
  for (const mode of MODES) {
    const args = [nameServer, endpoint, topic, mode, MESSAGES, MAX_SECONDS];
    const { delivered, seconds, heapMiB } = await runOwn<Grown>(
      './own-growth.ts',
      args.map(String),
      ['--expose-gc'],
    );
    // What is in hand differs from sample to sample. The first one is from before the code is warm.
    const half = Math.ceil(heapMiB.length / 2);
    const early = median(heapMiB.slice(1, half));
    const late = median(heapMiB.slice(half));
    const after = `${mode}, ${delivered} messages in ${seconds} s on Node ${process.version}`;
    process.stdout.write(`${after}: ${heapMiB.join(' ')} MiB\n`);
    note({ what: `${mode}: heap, first half of ${delivered} messages`, value: early, unit: 'MiB' });
    note({ what: `${mode}: heap, second half`, value: late, unit: 'MiB' });
    if (delivered < MESSAGES || late - early > MAX_GROWTH_MIB) grown.push(after);
  }
  if (grown.length > 0) throw new Error(`not flat, or not finished: ${grown.join('; ')}`);
}
