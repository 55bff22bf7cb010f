import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteReader } from '../../../src/remoting/byte-reader.ts';
import { ByteWriter } from '../../../src/remoting/byte-writer.ts';

describe('ByteWriter and ByteReader', () => {
  it('agree on every field, and grow', () => {
    const writer = new ByteWriter(1)
      .int8(200)
      .int16(-2)
      .int16(65535)
      .int32(-7)
      .int64(-(2n ** 63n))
      .bytes(Buffer.from('äb'));
    const at = writer.length;
    const bytes = writer.int32(0).patchInt32(at, 77).finish();
    const reader = new ByteReader(bytes);
    assert.deepEqual(
      [
        reader.uint8(),
        reader.int16(),
        reader.uint16(),
        reader.int32(),
        reader.int64(),
        reader.utf8(3),
        reader.int32(),
        reader.remaining,
      ],
      [200, -2, 65535, -7, -(2n ** 63n), 'äb', 77, 0],
    );
  });

  it('name the field that reaches beyond the end, and stay inside their part', () => {
    const reader = new ByteReader(Buffer.alloc(10), 2, 5);
    assert.throws(() => reader.int32('queue id'), {
      name: 'ProtocolError',
      message: /queue id of 4 bytes at 2 reaches beyond the end at 5/,
    });
    assert.throws(() => reader.bytes(-1, 'body'), /body of -1 bytes/);
    assert.equal(reader.bytes(3, 'body').length, 3);
  });
});
