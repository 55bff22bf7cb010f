import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { code, INLINE, propertiesText, SUSPEND, useLab } from './lab.ts';
import { onlyRecord } from './records.ts';

/** A broker answers a send some milliseconds before the message stands in its queue. */
const ONCE_INDEXED = { sysFlag: INLINE | SUSPEND, suspendMs: 15_000 };
const TRACE = { TRACE_ON: 'true', MSG_REGION: 'DefaultRegion' };

function batchBody(
  items: readonly { body: string; properties: Record<string, string>; flag?: number }[],
): Buffer {
  return Buffer.concat(
    items.map((item) => {
      const [body, properties] = [
        Buffer.from(item.body),
        Buffer.from(propertiesText(item.properties)),
      ];
      const bytes = Buffer.alloc(20 + body.length + 2 + properties.length);
      bytes.writeInt32BE(bytes.length, 0);
      bytes.writeInt32BE(item.flag ?? 0, 12);
      bytes.writeInt32BE(body.length, 16);
      body.copy(bytes, 20);
      bytes.writeInt16BE(properties.length, 20 + body.length);
      properties.copy(bytes, 22 + body.length);
      return bytes;
    }),
  );
}

/** 310, 10 and 320. */
export function sendChecks(target: () => ContractTarget): void {
  describe('sending', () => {
    const lab = useLab(target);

    it('310 answers where the message is', async () => {
      const topic = await lab.topic();
      await lab.send(topic, { queueId: 2 });
      const answer = await lab.send(topic, { queueId: 2, properties: { UNIQ_KEY: 'KEY' } });
      const [, record] = await lab.await(topic, 2, 2);
      assert.equal(code(answer), 0);
      assert.deepEqual(answer.extFields, {
        ...TRACE,
        msgId: record?.offsetMsgId,
        queueId: '2',
        queueOffset: '1',
        transactionId: 'KEY',
      });
    });

    it('310 stores what it got, and adds MSG_REGION, TRACE_ON and CLUSTER', async () => {
      const topic = await lab.topic();
      const before = Date.now();
      await lab.send(topic, {
        body: 'text',
        flag: 7,
        sysFlag: 0,
        properties: { UNIQ_KEY: 'KEY', TAGS: 'A', KEYS: 'a b', own: 'x y' },
      });
      const record = onlyRecord(await lab.await(topic, 0, 1));
      const {
        properties,
        bornHost,
        storeHost,
        storeTimestamp,
        reconsumeTimes,
        flag,
        bornTimestamp,
        body,
      } = record;
      assert.deepEqual(properties, {
        UNIQ_KEY: 'KEY',
        TAGS: 'A',
        KEYS: 'a b',
        own: 'x y',
        ...TRACE,
        CLUSTER: 'TestCluster',
      });
      assert.deepEqual(
        { bornHost, storeHost, reconsumeTimes, flag, bornTimestamp, body, topic: record.topic },
        {
          bornHost: lab.broker.localAddress,
          storeHost: lab.brokerAddress,
          reconsumeTimes: 0,
          flag: 7,
          bornTimestamp: 1_700_000_000_000,
          body: 'text',
          topic,
        },
      );
      assert(storeTimestamp >= before && storeTimestamp <= Date.now());
    });

    it('310 gives a message without UNIQ_KEY one', async () => {
      const topic = await lab.topic();
      const answer = await lab.send(topic);
      const record = onlyRecord(await lab.await(topic, 0, 1));
      assert.match(record.properties.UNIQ_KEY ?? '', /^[0-9A-F]{32,56}$/);
      assert.equal(answer.extFields.transactionId, record.properties.UNIQ_KEY);
    });

    it('310 picks a queue for −1', async () => {
      const topic = await lab.topic(2);
      const answer = await lab.send(topic, { queueId: -1 });
      assert(['0', '1'].includes(answer.extFields.queueId ?? ''), JSON.stringify(answer));
    });

    it('310 answers 29 for a queue that does not exist', async () => {
      const answer = await lab.send(await lab.topic(4), { queueId: 4 });
      assert.equal(code(answer), 29);
      assert.deepEqual(answer.extFields, TRACE);
      assert.match(answer.remark ?? '', /^request queueId\[4\] is illegal, /);
    });

    it('310 is taken for a topic without the write bit: producers look at the route themselves', async () => {
      assert.equal(code(await lab.send(await lab.topic(1, 4))), 0);
    });

    it('310 answers 1 to an empty body', async () => {
      assert.equal(code(await lab.send(await lab.topic(), { body: '' })), 1);
    });

    it('310 creates a topic from the template with as many queues as asked, at most 8', async () => {
      const [few, many] = [`auto-${lab.group()}`, `auto-${lab.group()}`];
      assert.equal(code(await lab.send(few, { queueNums: 3 })), 0);
      assert.equal(code(await lab.send(many, { queueNums: 30 })), 0);
      const queues = async (topic: string) =>
        JSON.parse(String((await lab.broker.call(351, { topic })).body)) as {
          readQueueNums: number;
          perm: number;
        };
      assert.deepEqual(
        [
          (await queues(few)).readQueueNums,
          (await queues(many)).readQueueNums,
          (await queues(few)).perm,
        ],
        [3, 8, 6],
      );
      assert.equal(code(await lab.names.call(105, { topic: few })), 0);
    });

    it('310 answers 17 when the template is unknown', async () => {
      const answer = await lab.send(`auto-${lab.group()}`, { template: 'nobody-made-this' });
      assert.equal(code(answer), 17);
      assert.deepEqual(answer.extFields, TRACE);
      assert.match(answer.remark ?? '', /not exist, apply first please!\n/);
    });

    it('310 answers 29 to an illegal name and 16 to a topic of the broker’s own', async () => {
      assert.equal(code(await lab.send('a b')), 29);
      const own = await lab.send('SCHEDULE_TOPIC_XXXX');
      assert.deepEqual(
        [code(own), own.remark],
        [16, 'Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden.'],
      );
    });

    it('310 answers 13 to more than 4 MiB and to more than 32 KiB of properties', async () => {
      const topic = await lab.topic();
      const large = await lab.send(topic, { body: Buffer.alloc(4 * 1024 * 1024 + 1) });
      const wordy = await lab.send(topic, { properties: { own: 'x'.repeat(33_000) } });
      assert.deepEqual([code(large), code(wordy)], [13, 13]);
      assert.match(large.remark ?? '', /^the message is illegal, /);
    });

    it('310 takes a message of 4 MiB', async () => {
      const topic = await lab.topic();
      assert.equal(code(await lab.send(topic, { body: Buffer.alloc(4 * 1024 * 1024) })), 0);
      assert.equal((await lab.await(topic, 0, 1)).length, 1);
    });

    it('10 is the same with long names', async () => {
      const topic = await lab.topic();
      const ext = {
        producerGroup: 'p',
        topic,
        defaultTopic: 'TBW102',
        defaultTopicQueueNums: 4,
        queueId: 1,
        sysFlag: 0,
        bornTimestamp: 5,
        flag: 0,
      };
      const properties = propertiesText({ TAGS: 'A' });
      const answer = await lab.broker.call(
        10,
        { ...ext, properties, reconsumeTimes: 0, unitMode: false },
        { body: 'long' },
      );
      assert.deepEqual(
        [code(answer), answer.extFields.queueId, answer.extFields.queueOffset],
        [0, '1', '0'],
      );
      const record = onlyRecord(await lab.await(topic, 1, 1));
      assert.deepEqual(
        [record.body, record.properties.TAGS, record.bornTimestamp],
        ['long', 'A', 5],
      );
    });

    it('320 takes a batch apart into ordinary messages', async () => {
      const topic = await lab.topic();
      await lab.send(topic);
      const body = batchBody([
        { body: 'one', properties: { TAGS: 'A', UNIQ_KEY: 'K1' }, flag: 3 },
        { body: 'two', properties: { TAGS: 'B', UNIQ_KEY: 'K2' } },
      ]);
      const ext = {
        a: 'p',
        b: topic,
        c: 'TBW102',
        d: 4,
        e: 0,
        f: 0,
        g: 5,
        h: 0,
        i: '',
        j: 0,
        k: false,
        m: true,
      };
      const answer = await lab.broker.call(320, ext, { body });
      const [, one, two] = await lab.await(topic, 0, 3);
      assert(one && two);
      assert.equal(code(answer), 0);
      assert.deepEqual(answer.extFields, {
        ...TRACE,
        queueId: '0',
        queueOffset: '1',
        msgId: `${one.offsetMsgId},${two.offsetMsgId}`,
      });
      assert.deepEqual([one.body, one.flag, two.body, two.flag], ['one', 3, 'two', 0]);
      assert.deepEqual(one.properties, { TAGS: 'A', UNIQ_KEY: 'K1' });
      assert.deepEqual([one.bornTimestamp, one.sysFlag], [5, 0]);
      const filtered = await lab.pull(lab.group(), topic, { subscription: 'B' });
      assert.equal(filtered.body.length, two.size);
    });

    it('320 refuses retry topics with 13', async () => {
      const body = batchBody([{ body: 'one', properties: {} }]);
      const ext = {
        a: 'p',
        b: `%RETRY%${lab.group()}`,
        c: 'TBW102',
        d: 1,
        e: 0,
        f: 0,
        g: 5,
        h: 0,
        i: '',
        j: 0,
        k: false,
        m: true,
      };
      assert.equal(code(await lab.broker.call(320, ext, { body })), 13);
    });
  });

  describe('delayed sending', { concurrency: true }, () => {
    const lab = useLab(target);

    it('a message with DELAY arrives when its level’s time has passed', async () => {
      const topic = await lab.topic();
      const answer = await lab.send(topic, {
        queueId: 3,
        body: 'later',
        properties: { UNIQ_KEY: 'KEY', TAGS: 'A', DELAY: '2' },
      });
      const sent = Date.now();
      assert.deepEqual(
        [code(answer), answer.extFields.queueId, answer.extFields.transactionId],
        [0, '3', 'KEY'],
      );
      const record = onlyRecord(await lab.await(topic, 3, 1));
      const expected = {
        UNIQ_KEY: 'KEY',
        TAGS: 'A',
        DELAY: '2',
        REAL_TOPIC: topic,
        REAL_QID: '3',
        ...TRACE,
        CLUSTER: 'TestCluster',
      };
      assert.deepEqual(record.properties, expected);
      assert.deepEqual([record.body, record.queueOffset, record.reconsumeTimes], ['later', 0, 0]);
      assert(
        record.storeTimestamp - sent > 1900 && record.storeTimestamp - sent < 3200,
        `${record.storeTimestamp - sent} ms`,
      );
    });

    it('waits in the schedule topic under its level', async () => {
      const topic = await lab.topic();
      const answer = await lab.send(topic, { properties: { DELAY: '17' } });
      const parked = Number(answer.extFields.queueOffset);
      const pulled = await lab.pull(lab.group(), 'SCHEDULE_TOPIC_XXXX', {
        queueId: 16,
        offset: parked,
        maxMessages: 1,
        ...ONCE_INDEXED,
      });
      assert.equal(code(pulled), 0);
      assert.equal((await lab.broker.call(30, { topic, queueId: 0 })).extFields.offset, '0');
    });

    it('a level above the last one counts as the last one', async () => {
      const answer = await lab.send(await lab.topic(), { properties: { DELAY: '99' } });
      const parked = Number(answer.extFields.queueOffset);
      assert.equal(
        code(
          await lab.pull(lab.group(), 'SCHEDULE_TOPIC_XXXX', {
            queueId: 17,
            offset: parked,
            maxMessages: 1,
            ...ONCE_INDEXED,
          }),
        ),
        0,
      );
    });

    it('is found by its tag when it has arrived', async () => {
      const topic = await lab.topic();
      await lab.send(topic, { properties: { DELAY: '1', TAGS: 'A' } });
      await lab.await(topic, 0, 1);
      assert.equal(code(await lab.pull(lab.group(), topic, { subscription: 'A' })), 0);
      assert.equal(code(await lab.pull(lab.group(), topic, { subscription: 'B' })), 20);
    });
  });
}
