/**
 * What a message in hand takes on this Node: node --expose-gc bench/message-cost.ts. One process for each line.
 * The constants in src/decide/pull/memory-costs.ts and ENTRY_BYTES come from it.
 */
import { ProcessQueue } from '../src/decide/process-queue/process-queue.ts';
import { decodeRecords } from '../src/records/decode-records.ts';
import { encodeRecord } from '../src/records/encode-record.ts';
import { runOwn } from './own-process.ts';

const MESSAGES = 4_000;
const PER_ANSWER = 20;
const BODY_BYTES = 100;
/** Number of properties and characters of their values; names have eight. */
const KINDS: readonly (readonly [count: number, length: number])[] = [
  [0, 0],
  [10, 4],
  [10, 16],
  [10, 1_000],
  [50, 4],
  [50, 16],
  [50, 100],
];

function inUse(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function recordAt(queueOffset: number, count: number, length: number): Buffer {
  const names = Array.from({ length: count }, (_, at) => `p${at}`.padEnd(8, '_'));
  const host = { address: '127.0.0.1', port: 10911 };
  return encodeRecord({
    ...{ topic: 'orders', queueId: 0, flag: 0, sysFlag: 0, reconsumeTimes: 0 },
    ...{ bornTimestamp: 1, storeTimestamp: 1, bornHost: host, storeHost: host },
    queueOffset: BigInt(queueOffset),
    commitLogOffset: BigInt(queueOffset),
    body: Buffer.alloc(BODY_BYTES, 'x'),
    properties: Object.fromEntries(names.map((name, at) => [name, `${at}`.padEnd(length, 'v')])),
  });
}

/** Bytes of each message beside its answer. */
function measure(messages: number, count: number, length: number, isRead: boolean): number {
  const before = inUse();
  const queue = new ProcessQueue(0n);
  let answers = 0;
  for (let at = 0; at < messages; at += PER_ANSWER) {
    const records = Array.from({ length: PER_ANSWER }, (_, n) => recordAt(at + n, count, length));
    const answer = Buffer.concat(records);
    answers += answer.length;
    const decoded = decodeRecords(answer, { brokerName: 'broker-a' });
    if (isRead) for (const message of decoded.messages) message.properties.get('p0');
    queue.put(decoded.messages, [], BigInt(at + PER_ANSWER));
  }
  const bytes = Math.round((inUse() - before - answers) / messages);
  if (queue.count !== messages) throw new Error('the queue lost a message');
  return bytes;
}

const [count, length, isRead] = process.argv.slice(2);
if (count === undefined) {
  for (const [properties, characters] of KINDS)
    for (const read of ['read', 'not-read']) {
      const { bytes } = await runOwn<{ bytes: number }>(
        './message-cost.ts',
        [String(properties), String(characters), read],
        ['--expose-gc'],
      );
      process.stdout.write(
        `${properties} properties of ${characters} characters, ${read}: ${bytes} bytes\n`,
      );
    }
} else {
  const args = [Number(count), Number(length), isRead === 'read'] as const;
  measure(PER_ANSWER * 2, ...args);
  process.stdout.write(`${JSON.stringify({ bytes: measure(MESSAGES, ...args) })}\n`);
}
