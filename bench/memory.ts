import { runJava } from '../test/support/java.ts';
import { runOwn } from './own-process.ts';
import type { Place } from './report.ts';

const MESSAGES = 100_000;
const BODY_BYTES = 4096;
const QUEUES = 8;
const SECONDS = 20;

interface Held {
  readonly handled: number;
  readonly queues: number;
  readonly baseMiB: number;
  readonly peakMiB: number;
  /** In use at most, beyond what was in use before. */
  readonly liveMiB: number;
}

/** What a puller holds that works eight queues with a slow handler, over a backlog of 100,000 messages of 4 KiB (400 MiB). */
export async function measureMemory({
  nameServer,
  endpoint,
  client,
  note,
}: Omit<Place, 'note'> & Partial<Pick<Place, 'note'>>): Promise<Held> {
  const topic = 'bench-memory';
  await client.createTopic(topic, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  await runJava('Produce', [nameServer, topic, String(MESSAGES), String(BODY_BYTES), '32']);
  const held = await runOwn<Held>(
    './own-memory.ts',
    [nameServer, endpoint, topic, 'memory', String(SECONDS)],
    ['--expose-gc'],
  );
  note?.({ what: 'memory before the first message', value: held.baseMiB, unit: 'MiB RSS' });
  note?.({
    what: `memory at most, ${QUEUES} queues, slow handler, 100,000 x 4 KiB waiting`,
    value: held.peakMiB,
    unit: 'MiB RSS',
  });
  note?.({ what: 'in use at most, beyond what was before', value: held.liveMiB, unit: 'MiB' });
  return held;
}
