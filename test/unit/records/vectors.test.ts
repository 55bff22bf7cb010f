import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeRecords } from '../../../src/records/decode-records.ts';
import { messageVectors } from '../../support/vectors.ts';

const VECTORS = messageVectors();

describe('records of Java', () => {
  for (const [index, { stored, compression, decoded }] of VECTORS.entries())
    it(`${index}: ${decoded.topic}, ${compression ?? 'not compressed'}`, () => {
      const { messages, undecodable } = decodeRecords(Buffer.from(stored, 'base64'), {
        brokerName: 'b',
        checkCrc: false,
      });
      assert.deepEqual(undecodable, []);
      const [message] = messages;
      assert.ok(message !== undefined && messages.length === 1);
      const compressed = compression === null ? 0 : 1;
      assert.deepEqual(
        {
          topic: message.topic,
          queueId: message.queueId,
          flag: message.flag,
          queueOffset: String(message.queueOffset),
          commitLogOffset: String(message.commitLogOffset),
          sysFlag: message.sysFlag,
          bornTimestamp: message.bornTimestamp,
          bornHost: `${message.bornHost.address}|${message.bornHost.port}`,
          storeTimestamp: message.storeTimestamp,
          storeHost: `${message.storeHost.address}|${message.storeHost.port}`,
          reconsumeTimes: message.reconsumeTimes,
          preparedTransactionOffset: String(message.preparedTransactionOffset),
          bodyCRC: message.bodyCRC,
          storeSize: message.storeSize,
          offsetMsgId: message.offsetMsgId,
          msgId: message.msgId,
          properties: Object.fromEntries(
            [...message.properties].sort(([a], [b]) => (a < b ? -1 : 1)),
          ),
          body: message.body.toString('base64'),
        },
        { ...decoded, body: decoded.body ?? '' },
      );
      assert.equal(message.sysFlag & compressed, 0);
    });

  it('are read back to back, as a pull answer holds them', () => {
    const body = Buffer.concat(VECTORS.map(({ stored }) => Buffer.from(stored, 'base64')));
    const { messages, undecodable } = decodeRecords(body, { brokerName: 'b', checkCrc: false });
    assert.equal(undecodable.length, 0);
    assert.deepEqual(
      messages.map(({ offsetMsgId }) => offsetMsgId),
      VECTORS.map(({ decoded }) => decoded.offsetMsgId),
    );
  });

  it('fail their CRC of 0 one by one when it is checked', () => {
    const body = Buffer.concat(VECTORS.map(({ stored }) => Buffer.from(stored, 'base64')));
    const { messages, undecodable } = decodeRecords(body, { brokerName: 'b' });
    assert.equal(messages.length, VECTORS.filter(({ decoded }) => decoded.body === null).length);
    assert.equal(messages.length + undecodable.length, VECTORS.length);
    assert.match(undecodable[0]?.error.message ?? '', /CRC/);
  });
});
