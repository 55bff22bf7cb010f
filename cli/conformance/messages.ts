import type { HostAndPort } from '../../src/model/message.ts';
import { decodeRecords } from '../../src/records/decode-records.ts';
import type { Checker } from './checker.ts';

interface MessageVectors {
  readonly cases: readonly {
    readonly stored: string;
    readonly compression: string | null;
    readonly decoded: Readonly<Record<string, unknown>>;
  }[];
}

/** Decodes each stored record as Java did. Java's program left the CRC field 0, so it is read and not compared. */
export function checkMessages({ cases }: MessageVectors, checker: Checker): void {
  cases.forEach(({ stored, compression, decoded }, index) => {
    checker.case(`case ${index} (${compression ?? 'plain'})`, (expect) => {
      const { messages, undecodable } = decodeRecords(Buffer.from(stored, 'base64'), {
        brokerName: 'broker',
        checkCrc: false,
      });
      if (undecodable[0] !== undefined) throw undecodable[0].error;
      const [message] = messages;
      expect('messages', messages.length, 1);
      if (message === undefined) return;
      const actual: Record<string, unknown> = {
        topic: message.topic,
        queueId: message.queueId,
        flag: message.flag,
        queueOffset: String(message.queueOffset),
        commitLogOffset: String(message.commitLogOffset),
        sysFlag: message.sysFlag,
        bornTimestamp: message.bornTimestamp,
        bornHost: host(message.bornHost),
        storeTimestamp: message.storeTimestamp,
        storeHost: host(message.storeHost),
        reconsumeTimes: message.reconsumeTimes,
        preparedTransactionOffset: String(message.preparedTransactionOffset),
        bodyCRC: message.bodyCRC,
        storeSize: message.storeSize,
        offsetMsgId: message.offsetMsgId,
        msgId: message.msgId,
        properties: Object.fromEntries(message.properties),
        body: message.body.toString('base64'),
      };
      // Java has no body where there is an empty one.
      const expected: Readonly<Record<string, unknown>> = { ...decoded, body: decoded.body ?? '' };
      for (const field of Object.keys({ ...actual, ...expected }))
        expect(field, actual[field], expected[field]);
    });
  });
}

function host({ address, port }: HostAndPort): string {
  return `${address}|${port}`;
}
