import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { deflateSync } from 'node:zlib';
import { GroupNotFoundError, RequestTimeoutError } from '../../../src/errors.ts';
import type { Message } from '../../../src/model/message.ts';
import type { PopHandle, PoppedMessage, UnrevivableReason } from '../../../src/model/pop.ts';
import { createPoppedCopier } from '../../../src/puller/copy-popped.ts';
import { decodeRecords } from '../../../src/records/decode-records.ts';
import type { RecordFields } from '../../../src/records/encode-record.ts';
import { SystemFlag } from '../../../src/records/system-flag.ts';
import { silentLogger } from '../../support/coordinator-world.ts';
import { record as encoded, messageAt } from '../../support/records.ts';

const record = (queueOffset: bigint): PopHandle => ({
  ckQueueOffset: 0n,
  popTime: 1n,
  invisibleTime: 60_000n,
  reviveQid: 0,
  retryMark: 0,
  brokerName: 'broker-a',
  queueId: 0,
  queueOffset,
});
const popped = (
  offset: number,
  handle: PopHandle,
  unrevivable?: UnrevivableReason,
): PoppedMessage => ({
  message: messageAt(offset, { body: Buffer.from(String(offset)), properties: {} }),
  handle,
  ...(unrevivable && { unrevivable }),
});

function stored(offset: number, fields: Partial<RecordFields>): Message {
  const bytes = encoded({ queueOffset: BigInt(offset), ...fields });
  const { messages } = decodeRecords(bytes, { brokerName: 'broker-a', keepCompressed: true });
  assert.ok(messages[0]);
  return messages[0];
}

/** @param failures of copies, by the message's offset */
function copier(failures: ReadonlyMap<number, Error> = new Map()) {
  const calls: string[] = [];
  let underWay = 0;
  let mostAtOnce = 0;
  const copy = createPoppedCopier({
    client: {
      async copyToPopRetry(_group, { queueOffset }) {
        calls.push(`copy ${queueOffset}`);
        mostAtOnce = Math.max(mostAtOnce, ++underWay);
        await nextTurn();
        underWay--;
        const failure = failures.get(Number(queueOffset));
        if (failure !== undefined) throw failure;
      },
      async ack(_group, _topic, { queueOffset }) {
        calls.push(`ack ${queueOffset}`);
      },
    },
    source: { consumerGroup: 'workers' },
    queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 },
    logger: silentLogger,
    lifecycle: { isLost: false, signal: () => new AbortController().signal },
    memory: { maxMessageBytes: 1_000 },
  });
  const offsets = async (messages: readonly PoppedMessage[]) =>
    (await copy(messages)).map(({ message }) => Number(message.queueOffset));
  return { calls, offsets, mostAtOnce: () => mostAtOnce };
}

describe('popped messages that their broker would not bring back as it should', () => {
  const [plain, batch, counted] = [record(5n), record(6n), record(9n)];
  const messages = [
    popped(5, plain),
    popped(6, batch, 'inner-batch'),
    popped(7, batch, 'inner-batch'),
    popped(9, counted, 'miscounted'),
  ];

  it('are copied, each record is acknowledged once, the others go to their handler', async () => {
    const { calls, offsets } = copier();
    assert.deepEqual(await offsets(messages), [5]);
    assert.deepEqual(calls, ['copy 6', 'copy 7', 'copy 9', 'ack 6', 'ack 9']);
  });

  it('go to their handler when they are not taken; their record is not acknowledged then', async () => {
    const { calls, offsets } = copier(new Map([[7, new RequestTimeoutError('b', 'SEND', 1)]]));
    assert.deepEqual(await offsets(messages), [5, 7]);
    assert.deepEqual(calls.slice(3), ['ack 9']);
  });

  it('are not copied again by this puller once the broker forbade it', async () => {
    const refused = new GroupNotFoundError('SEND', 'b', 26, 'SUBSCRIPTION_GROUP_NOT_EXIST', '');
    const { calls, offsets } = copier(new Map([[9, refused]]));
    assert.deepEqual(await offsets([popped(9, counted, 'miscounted')]), [9]);
    assert.deepEqual(await offsets(messages), [5, 6, 7, 9]);
    assert.deepEqual(calls, ['copy 9']);
  });

  it('are opened one at a time where they are compressed', async () => {
    const { calls, offsets, mostAtOnce } = copier();
    const large = [1, 2, 3].map((offset) => {
      const one = popped(offset, record(BigInt(offset)), 'miscounted');
      const body = deflateSync(Buffer.alloc(900));
      return { ...one, message: stored(offset, { body, sysFlag: SystemFlag.COMPRESSED }) };
    });
    assert.deepEqual(await offsets(large), []);
    assert.deepEqual([calls.slice(0, 3), mostAtOnce()], [['copy 1', 'copy 2', 'copy 3'], 1]);
    assert.deepEqual(await offsets(messages), [5]);
    assert.equal(mostAtOnce(), 3);
  });

  it('cost nothing where there are none', async () => {
    const { calls, offsets } = copier();
    assert.deepEqual(await offsets([popped(5, plain)]), [5]);
    assert.deepEqual(calls, []);
  });
});
