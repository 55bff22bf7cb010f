import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BatchBuilder, MAX_EVENT_BYTES } from '../../../src/delivery/batch.ts';
import { buildRecord } from '../../../src/delivery/build-record.ts';
import { addRecord } from '../../../src/delivery/offload-body.ts';
import { messageAt } from '../../support/records.ts';

const CONTEXT = {
  cluster: 'default',
  consumerGroup: 'workers',
  topic: 'orders',
  region: 'eu-west-1',
  accountId: '1',
  maxReconsumeTimes: 16,
  localRetries: 0,
  now: 0,
};

/** The pointer that a message's record gets. */
function pointerOf(
  bytes: number,
  fields: Parameters<typeof messageAt>[1],
  maxBytes: number | undefined = MAX_EVENT_BYTES,
) {
  const message = messageAt(7, fields);
  const builder = new BatchBuilder(maxBytes);
  assert.equal(
    addRecord(builder, () => buildRecord(message, CONTEXT), message.body, {
      bytes,
      bucket: 'arn:aws:s3:::large',
      prefix: 'bodies',
    }),
    'added',
  );
  return builder.items[0]?.s3Pointer;
}

describe('addRecord', () => {
  test('a body that is larger than an event is told without its record', () => {
    const builder = new BatchBuilder(MAX_EVENT_BYTES);
    const build = () => assert.fail('no record is built');
    assert.equal(
      addRecord(builder, build, Buffer.alloc(MAX_EVENT_BYTES + 1), undefined),
      'too-large',
    );
  });

  test('counts a body as it stands in JSON, to the byte', () => {
    for (const [body, size] of [
      ['a'.repeat(50), 50],
      ['"\n'.repeat(25), 100],
      ['\u0001'.repeat(10), 60],
      ['ß🚀'.repeat(10), 60],
      [Buffer.from([0xff, 0xfe, 0xfd]), 4],
    ] as const) {
      const fields = { body: Buffer.from(body) };
      assert.equal(pointerOf(size, fields), undefined);
      assert.equal(pointerOf(size - 1, fields)?.bucket, 'large');
    }
  });

  test('what no event could carry gets a pointer, however high the threshold', () => {
    // Both the body and the properties, twice, need their room.
    const properties = { UNIQ_KEY: 'A', note: '\u0003'.repeat(30_000) };
    assert.ok(pointerOf(6_000_000, { body: Buffer.alloc(5_990_000, 'x'), properties }));
    assert.equal(pointerOf(6_000_000, { body: Buffer.alloc(5_990_000, 'x') }), undefined);
  });

  test('a key is the message’s: the same wherever it is delivered from, another for another body under its id, and never too long', () => {
    const key = (fields: Parameters<typeof messageAt>[1]) =>
      pointerOf(1, fields)?.key ?? assert.fail('no pointer');
    const one = key({ body: Buffer.from('one') });
    assert.match(one, /^bodies\/default\/workers\/orders\/AC1A2B3C-[0-9a-f]{32}$/);
    assert.equal(
      key({
        body: Buffer.from('one'),
        queueId: 9,
        queueOffset: 99n,
        reconsumeTimes: 3,
        commitLogOffset: 5n,
      }),
      one,
    );
    assert.notEqual(key({ body: Buffer.from('two') }), one);
    const odd = key({
      body: Buffer.from('one'),
      properties: { UNIQ_KEY: `../ü ${'x'.repeat(2_000)}` },
    });
    assert.match(odd, /^bodies\/default\/workers\/orders\/\.\.___x{123}-[0-9a-f]{32}$/);
  });
});
