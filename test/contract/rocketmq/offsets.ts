import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { code, useLab } from './lab.ts';
import { onlyRecord } from './records.ts';

/** 14, 15, 29, 30, 31, 32. */
export function offsetChecks(target: () => ContractTarget): void {
  describe('offsets', () => {
    const lab = useLab(target);
    const known = async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.broker.call(200, {}, { body: { groupName: group } });
      return { group, topic };
    };
    const offset = async (request: number, ext: Record<string, string | number>) =>
      (await lab.broker.call(request, ext)).extFields.offset;

    it('14 answers 22 when nothing is stored and the queue is empty', async () => {
      const answer = await lab.broker.call(14, {
        consumerGroup: lab.group(),
        topic: await lab.topic(),
        queueId: 0,
      });
      assert.equal(code(answer), 22);
      assert.equal(
        answer.remark,
        'Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first',
      );
    });

    it('14 answers 0 when nothing is stored and the first message is still in memory', async () => {
      const topic = await lab.topic();
      await lab.send(topic);
      const answer = await lab.broker.call(14, { consumerGroup: lab.group(), topic, queueId: 0 });
      assert.equal(code(answer), 0);
      assert.equal(answer.extFields.offset, '0');
    });

    it('14 answers 22 all the same with setZeroIfNotFound=false', async () => {
      const topic = await lab.topic();
      await lab.send(topic);
      const answer = await lab.broker.call(14, {
        consumerGroup: lab.group(),
        topic,
        queueId: 0,
        setZeroIfNotFound: false,
      });
      assert.equal(code(answer), 22);
      assert.equal(answer.remark, 'Not found, do not set to zero, maybe this group boot first');
    });

    it('14 does not create the group', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.broker.call(14, { consumerGroup: group, topic, queueId: 0 });
      assert.equal(code(await lab.commit(group, topic, 0, 0)), 26);
    });

    it('15 stores, 14 reads, per queue', async () => {
      const { group, topic } = await known();
      const answer = await lab.commit(group, topic, 1, 7);
      assert.equal(code(answer), 0);
      assert.equal(answer.remark, undefined);
      assert.deepEqual(
        [await lab.committed(group, topic, 1), await lab.committed(group, topic, 2)],
        ['7', 'code 22'],
      );
    });

    it('15 stores 64-bit offsets, and lower ones after higher ones', async () => {
      const { group, topic } = await known();
      await lab.commit(group, topic, 0, 9_007_199_254_740_993n);
      assert.equal(await lab.committed(group, topic, 0), '9007199254740993');
      await lab.commit(group, topic, 0, 3);
      assert.equal(await lab.committed(group, topic, 0), '3');
    });

    it('15 takes an offset for a queue that does not exist', async () => {
      const { group, topic } = await known();
      assert.equal(code(await lab.commit(group, topic, 99, 5)), 0);
      assert.equal(await lab.committed(group, topic, 99), '5');
    });

    it('15 answers 26 for an unknown group and does not create it', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      for (const attempt of [1, 2]) {
        const answer = await lab.commit(group, topic, 0, attempt);
        assert.equal(code(answer), 26);
        assert.equal(answer.remark, `Group ${group} not exist!`);
      }
    });

    it('15 answers 17 for an unknown topic', async () => {
      const { group } = await known();
      const answer = await lab.commit(group, 'nobody-made-this', 0, 1);
      assert.equal(code(answer), 17);
      assert.equal(answer.remark, 'Topic nobody-made-this not exist!');
    });

    it('30 and 31 tell the ends of a queue', async () => {
      const topic = await lab.topic();
      for (let count = 0; count < 3; count++) await lab.send(topic, { queueId: 1 });
      const ends = [
        await offset(30, { topic, queueId: 1 }),
        await offset(31, { topic, queueId: 1 }),
        await offset(30, { topic, queueId: 0 }),
      ];
      assert.deepEqual(ends, ['3', '0', '0']);
    });

    it('30 and 31 answer 0 for an unknown topic', async () => {
      const topic = 'nobody-made-this';
      assert.deepEqual(
        [await offset(30, { topic, queueId: 0 }), await offset(31, { topic, queueId: 0 })],
        ['0', '0'],
      );
    });

    it('29 finds the first message stored at or after a time', async () => {
      const topic = await lab.topic();
      await lab.send(topic, { body: 'early' });
      await sleep(30);
      await lab.send(topic, { body: 'late' });
      const [early, late] = await lab.await(topic, 0, 2);
      assert(early && late);
      const search = (timestamp: number, more = {}) =>
        offset(29, { topic, queueId: 0, timestamp, ...more });
      const found = [
        await search(0),
        await search(early.storeTimestamp),
        await search(early.storeTimestamp + 1),
        await search(late.storeTimestamp),
        await search(late.storeTimestamp + 1),
      ];
      assert.deepEqual(found, ['0', '0', '1', '1', '2']);
      const upper = [
        await search(0, { boundaryType: 'upper' }),
        await search(early.storeTimestamp, { boundaryType: 'upper' }),
        await search(late.storeTimestamp - 1, { boundaryType: 'upper' }),
        await search(late.storeTimestamp + 1, { boundaryType: 'upper' }),
      ];
      assert.deepEqual(upper, ['0', '0', '0', '1']);
    });

    it('29 answers 0 for an empty queue and for an unknown topic', async () => {
      const empty = await offset(29, {
        topic: await lab.topic(),
        queueId: 0,
        timestamp: Date.now(),
      });
      const unknown = await offset(29, {
        topic: 'nobody-made-this',
        queueId: 0,
        timestamp: Date.now(),
      });
      assert.deepEqual([empty, unknown], ['0', '0']);
    });

    it('32 tells when the first message was stored, −1 when there is none', async () => {
      const topic = await lab.topic();
      await lab.send(topic);
      const record = onlyRecord(await lab.await(topic, 0, 1));
      const times = [
        (await lab.broker.call(32, { topic, queueId: 0 })).extFields.timestamp,
        (await lab.broker.call(32, { topic, queueId: 1 })).extFields.timestamp,
      ];
      assert.deepEqual(times, [String(record.storeTimestamp), '-1']);
    });

    it('208 shows both ends of the lag, with queues as keys', async () => {
      const { group, topic } = await known();
      await lab.send(topic, { queueId: 0 });
      await lab.send(topic, { queueId: 0 });
      await lab.await(topic, 0, 2);
      await lab.pull(group, topic, { maxMessages: 1 });
      await lab.commit(group, topic, 0, 1);
      const answer = await lab.broker.call(208, { consumerGroup: group, topic });
      assert.equal(code(answer), 0);
      const row = (queueId: number) =>
        `{"brokerName":"${lab.brokerName}","queueId":${queueId},"topic":"${topic}"}`;
      const body = String(answer.body).replace(/"lastTimestamp":[1-9]\d+/, '"lastTimestamp":TIME');
      const idle = '{"brokerOffset":0,"consumerOffset":0,"lastTimestamp":0,"pullOffset":0}';
      const busy = '{"brokerOffset":2,"consumerOffset":1,"lastTimestamp":TIME,"pullOffset":1}';
      assert(body.startsWith('{"consumeTps":0.0,"offsetTable":{'), body);
      assert(body.includes(`${row(0)}:${busy}`), body);
      for (const queueId of [1, 2, 3]) assert(body.includes(`${row(queueId)}:${idle}`), body);
    });
  });
}
