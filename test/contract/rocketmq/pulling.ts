import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { RawFrame } from '../../support/raw-connection.ts';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { COMMIT, code, INLINE, useLab } from './lab.ts';
import { recordsIn } from './records.ts';

const bodies = (answer: RawFrame) => recordsIn(answer.body).map((record) => record.body);
const offsets = ({ extFields }: RawFrame) =>
  [extFields.nextBeginOffset, extFields.minOffset, extFields.maxOffset].map(Number);

/** 11 and 361 without waiting. */
export function pullChecks(target: () => ContractTarget): void {
  describe('pulling', () => {
    const lab = useLab(target);
    const filled = async (count: number, settings: Parameters<typeof lab.send>[1] = {}) => {
      const topic = await lab.topic();
      for (let index = 0; index < count; index++)
        await lab.send(topic, { body: `m${index}`, ...settings });
      return topic;
    };

    it('answers 19 on an empty queue at 0, with every figure', async () => {
      const answer = await lab.pull(lab.group(), await lab.topic());
      assert.equal(code(answer), 19);
      assert.equal(answer.remark, 'NO_MESSAGE_IN_QUEUE');
      assert.deepEqual(answer.extFields, {
        suggestWhichBrokerId: '0',
        groupSysFlag: '0',
        nextBeginOffset: '0',
        maxOffset: '0',
        minOffset: '0',
        topicSysFlag: '0',
      });
    });

    it('answers 21 with next 0 on an empty queue at any other offset', async () => {
      const answer = await lab.pull(lab.group(), await lab.topic(), { offset: 5 });
      assert.deepEqual(
        [code(answer), answer.remark, ...offsets(answer)],
        [21, 'NO_MESSAGE_IN_QUEUE', 0, 0, 0],
      );
    });

    it('answers 0 with the messages from the offset on', async () => {
      const topic = await filled(4);
      const answer = await lab.pull(lab.group(), topic, { offset: 1 });
      assert.deepEqual([code(answer), answer.remark, ...offsets(answer)], [0, 'FOUND', 4, 0, 4]);
      assert.deepEqual(bodies(answer), ['m1', 'm2', 'm3']);
      assert.deepEqual(
        recordsIn(answer.body).map((record) => record.queueOffset),
        [1, 2, 3],
      );
    });

    it('answers 19 at the end of a queue', async () => {
      const answer = await lab.pull(lab.group(), await filled(2), { offset: 2 });
      assert.deepEqual(
        [code(answer), answer.remark, ...offsets(answer)],
        [19, 'OFFSET_OVERFLOW_ONE', 2, 0, 2],
      );
    });

    it('answers 21 with the end beyond the end', async () => {
      const answer = await lab.pull(lab.group(), await filled(2), { offset: 3 });
      assert.deepEqual(
        [code(answer), answer.remark, ...offsets(answer)],
        [21, 'OFFSET_OVERFLOW_BADLY', 2, 0, 2],
      );
      const far = await lab.pull(lab.group(), await filled(2), { offset: 9_007_199_254_740_993n });
      assert.deepEqual([code(far), ...offsets(far)], [21, 2, 0, 2]);
    });

    it('answers 21 with the beginning before the beginning', async () => {
      const answer = await lab.pull(lab.group(), await filled(2), { offset: -1 });
      assert.deepEqual(
        [code(answer), answer.remark, ...offsets(answer)],
        [21, 'OFFSET_TOO_SMALL', 0, 0, 2],
      );
    });

    it('gives at most as many as asked', async () => {
      const answer = await lab.pull(lab.group(), await filled(4), { maxMessages: 3 });
      assert.deepEqual([code(answer), ...offsets(answer)], [0, 3, 0, 4]);
      assert.deepEqual(bodies(answer), ['m0', 'm1', 'm2']);
    });

    it('gives at most 32, whatever was asked', async () => {
      const answer = await lab.pull(lab.group(), await filled(40), { maxMessages: 100 });
      assert.equal(bodies(answer).length, 32);
      assert.equal(offsets(answer)[0], 32);
    });

    it('gives at most 256 KiB', async () => {
      const answer = await lab.pull(
        lab.group(),
        await filled(4, { body: Buffer.alloc(100 * 1024, 'x') }),
      );
      assert.equal(recordsIn(answer.body).length, 2);
    });

    it('gives a first message that is larger than that, alone', async () => {
      const answer = await lab.pull(
        lab.group(),
        await filled(2, { body: Buffer.alloc(600 * 1024, 'x') }),
      );
      assert.equal(recordsIn(answer.body).length, 1);
    });

    it('filters by tags and passes what does not match', async () => {
      const topic = await lab.topic();
      for (const tag of ['A', 'B', 'A', 'C', 'B'])
        await lab.send(topic, { body: tag, properties: { TAGS: tag } });
      await lab.send(topic, { body: 'none' });
      const answer = await lab.pull(lab.group(), topic, { subscription: 'A || B' });
      assert.deepEqual(bodies(answer), ['A', 'B', 'A', 'B']);
      assert.deepEqual(offsets(answer), [6, 0, 6]);
    });

    it('answers 20 with an advanced offset when nothing matches', async () => {
      const topic = await filled(3, { properties: { TAGS: 'A' } });
      const answer = await lab.pull(lab.group(), topic, { subscription: 'B' });
      assert.deepEqual(
        [code(answer), answer.remark, ...offsets(answer)],
        [20, 'NO_MATCHED_MESSAGE', 3, 0, 3],
      );
    });

    it('compares hashes only: "Aa" gets "BB" too', async () => {
      const topic = await filled(1, { properties: { TAGS: 'BB' } });
      assert.equal(
        recordsIn((await lab.pull(lab.group(), topic, { subscription: 'Aa' })).body).length,
        1,
      );
    });

    it('scans 800 messages for a filter, not more', async () => {
      const topic = await lab.topic();
      await Promise.all(Array.from({ length: 850 }, () => lab.send(topic, { body: 'x' })));
      const first = await lab.pull(lab.group(), topic, { subscription: 'A' });
      assert.deepEqual([code(first), ...offsets(first)], [20, 800, 0, 850]);
      const second = await lab.pull(lab.group(), topic, { subscription: 'A', offset: 800 });
      assert.deepEqual([code(second), ...offsets(second)], [20, 850, 0, 850]);
    });

    for (const queueId of [4, -1]) {
      it(`answers 29 for queue ${queueId} of 4, without offsets`, async () => {
        const answer = await lab.pull(lab.group(), await lab.topic(4), { queueId });
        assert.equal(code(answer), 29);
        assert.deepEqual(answer.extFields, {});
        assert.match(
          answer.remark ?? '',
          /^queueId\[-?\d\] is illegal, topic:\[.*\] topicConfig.readQueueNums:\[4\] consumer:\[/,
        );
      });
    }

    it('answers 17 for an unknown topic and does not create it', async () => {
      for (const attempt of ['first', 'second']) {
        const answer = await lab.pull(lab.group(), 'nobody-made-this');
        assert.equal(code(answer), 17, attempt);
        assert.match(
          answer.remark ?? '',
          /^topic\[nobody-made-this\] not exist, apply first please! /,
        );
      }
    });

    for (const group of ['a b', 'x'.repeat(121)]) {
      it(`answers 26 for ${group.length > 100 ? 'a group of 121 characters' : `group "${group}"`}`, async () => {
        const answer = await lab.pull(group, await lab.topic());
        assert.equal(code(answer), 26);
        assert.match(answer.remark ?? '', /^subscription group \[/);
      });
    }

    it('creates the group', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.pull(group, topic);
      assert.equal(code(await lab.commit(group, topic, 0, 0)), 0);
    });

    it('answers 23 when a tag expression cannot be parsed', async () => {
      const answer = await lab.pull(lab.group(), await lab.topic(), { subscription: '||' });
      assert.equal(code(answer), 23);
      assert.equal(answer.remark, "parse the consumer's subscription failed");
    });

    for (const expressionType of ['SQL92', 'UNHEARD_OF']) {
      it(`answers 1 to ${expressionType}, which a stock broker does not support`, async () => {
        const answer = await lab.pull(lab.group(), await lab.topic(), {
          subscription: 'a > 1',
          expressionType,
        });
        assert.equal(code(answer), 1);
        assert.equal(
          answer.remark,
          `The broker does not support consumer to filter message by ${expressionType}`,
        );
      });
    }

    it('stores the offset that comes with the COMMIT flag', async () => {
      const [group, topic] = [lab.group(), await filled(3)];
      await lab.pull(group, topic, { sysFlag: INLINE | COMMIT, commitOffset: 2 });
      assert.equal(await lab.committed(group, topic, 0), '2');
      await lab.pull(group, topic, { sysFlag: INLINE, commitOffset: 3 });
      assert.equal(await lab.committed(group, topic, 0), '2');
    });

    it('361 is the same request', async () => {
      const topic = await filled(1);
      const ext = {
        consumerGroup: lab.group(),
        topic,
        queueId: 0,
        queueOffset: 0,
        maxMsgNums: 32,
        sysFlag: INLINE | 16,
      };
      const answer = await lab.broker.call(361, {
        ...ext,
        commitOffset: 0,
        suspendTimeoutMillis: 0,
        subscription: '*',
        subVersion: 0,
      });
      assert.deepEqual([code(answer), ...offsets(answer)], [0, 1, 0, 1]);
    });
  });

  describe('pulling by a heartbeat’s subscription', () => {
    const lab = useLab(target);

    it('answers 24 when the group has no member', async () => {
      const answer = await lab.pull(lab.group(), await lab.topic(), { sysFlag: 0 });
      assert.equal(code(answer), 24);
      assert.match(answer.remark ?? '', /^the consumer's group info not exist\n/);
    });

    it('uses the member’s filter, whichever connection pulls', async () => {
      const [group, topic, other] = [lab.group(), await lab.topic(), await lab.connect()];
      await lab.send(topic, { body: 'a', properties: { TAGS: 'A' } });
      await lab.send(topic, { body: 'b', properties: { TAGS: 'B' } });
      await lab.heartbeat(group, { clientID: 'one', topic, tags: 'B' }, other);
      assert.deepEqual(bodies(await lab.pull(group, topic, { sysFlag: 0 })), ['b']);
      other.close();
    });

    it('answers 24 when the group has not subscribed to the topic', async () => {
      const [group, topic, other] = [lab.group(), await lab.topic(), await lab.topic()];
      await lab.heartbeat(group, { clientID: 'one', topic });
      const answer = await lab.pull(group, other, { sysFlag: 0 });
      assert.equal(code(answer), 24);
      assert.match(answer.remark ?? '', /^the consumer's subscription not exist\n/);
    });

    it('answers 25 when the pull knows a newer subscription', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.heartbeat(group, { clientID: 'one', topic, subVersion: 100 });
      assert.equal(code(await lab.pull(group, topic, { sysFlag: 0, subVersion: 100 })), 19);
      const answer = await lab.pull(group, topic, { sysFlag: 0, subVersion: 101 });
      assert.deepEqual(
        [code(answer), answer.remark],
        [25, "the consumer's subscription not latest"],
      );
    });

    it('answers 16 to a broadcasting group that may not broadcast', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.broker.call(200, {}, { body: { groupName: group, consumeBroadcastEnable: false } });
      await lab.heartbeat(group, { clientID: 'one', topic, messageModel: 'BROADCASTING' });
      assert.equal(code(await lab.pull(group, topic, { sysFlag: 0 })), 16);
    });
  });
}
