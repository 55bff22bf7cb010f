import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RawConnection } from '../../support/raw-connection.ts';
import { connectRaw } from '../../support/raw-connection.ts';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { code, useLab } from './lab.ts';

async function closes(connection: RawConnection, withinMs = 3000): Promise<boolean> {
  for (const until = Date.now() + withinMs; !connection.closed && Date.now() < until; )
    await sleep(20);
  return connection.closed;
}

/** Request 105 for topic "T" with a binary header, opaque 7 (reference vector). */
const BINARY_REQUEST = Buffer.from(
  '0000002501000021006907019100000007000000000000000' + '00000000c0005746f7069630000000154',
  'hex',
);

/** Framing, headers and flags. */
export function frameChecks(target: () => ContractTarget): void {
  describe('frames', () => {
    const lab = useLab(target);

    it('answers with flag 1, its own language, a 5.x version and the same opaque', async () => {
      const answer = await lab.broker.call(31, { topic: 'any', queueId: 0 });
      assert.equal(answer.flag, 1);
      assert.equal(answer.language, 'JAVA');
      assert.equal(answer.version, 513);
    });

    it('answers 3 to a request that it does not know', async () => {
      const answer = await lab.broker.call(999);
      assert.equal(code(answer), 3);
      assert.equal(answer.remark, ' request type 999 not supported');
    });

    it('never answers a one-way request, not even one that fails', async () => {
      const opaque = [lab.broker.oneway(999), lab.broker.oneway(31, { topic: 'any', queueId: 0 })];
      await lab.broker.call(31, { topic: 'any', queueId: 0 });
      await sleep(100);
      assert.deepEqual(
        opaque.filter((id) => lab.broker.answered.has(id)),
        [],
      );
    });

    it('understands a binary header and answers in JSON', async () => {
      const connection = await connectRaw(lab.nameServer);
      connection.write(BINARY_REQUEST);
      for (const until = Date.now() + 3000; !connection.answered.has(7) && Date.now() < until; )
        await sleep(10);
      assert(connection.answered.has(7));
      connection.close();
    });

    it('understands a frame that arrives byte by byte', async () => {
      const connection = await connectRaw(lab.nameServer);
      for (const byte of BINARY_REQUEST) {
        connection.write(Buffer.of(byte));
        await sleep(1);
      }
      for (const until = Date.now() + 3000; !connection.answered.has(7) && Date.now() < until; )
        await sleep(10);
      assert(connection.answered.has(7));
      connection.close();
    });

    it('answers many requests that are sent at once on one connection', async () => {
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, queueId) => lab.broker.call(31, { topic: 'any', queueId })),
      );
      assert.equal(new Set(answers.map((answer) => answer.opaque)).size, 200);
      assert(answers.every((answer) => answer.code === 0));
    });

    it('closes the connection when a frame announces more than 16 MiB', async () => {
      const connection = await lab.connect();
      await connection.call(31, { topic: 'any', queueId: 0 });
      connection.write(Buffer.from('0100000d0000000000000000', 'hex'));
      assert(await closes(connection));
    });

    it('closes the connection when a header cannot be decoded', async () => {
      const connection = await lab.connect();
      await connection.call(31, { topic: 'any', queueId: 0 });
      connection.write(Buffer.from('000000080000000461626364', 'hex'));
      assert(await closes(connection));
    });

    it('closes the connection when the header is longer than the frame', async () => {
      const connection = await lab.connect();
      await connection.call(31, { topic: 'any', queueId: 0 });
      connection.write(Buffer.from('00000008000000ff61626364', 'hex'));
      assert(await closes(connection));
    });
  });
}
