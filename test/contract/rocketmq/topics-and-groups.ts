import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { code, useLab } from './lab.ts';

/** 17, 351, 200 and what they permit. */
export function topicAndGroupChecks(target: () => ContractTarget): void {
  describe('topics and groups', () => {
    const lab = useLab(target);
    const create = (topic: string, more = {}) =>
      lab.broker.call(17, {
        topic,
        defaultTopic: 'TBW102',
        readQueueNums: 2,
        writeQueueNums: 2,
        perm: 6,
        topicFilterType: 'SINGLE_TAG',
        order: false,
        ...more,
      });

    it('17 creates a topic, and says so with an odd remark', async () => {
      const answer = await create(await lab.topic(), { readQueueNums: 5 });
      assert.equal(code(answer), 0);
      assert.equal(answer.remark, 'not set any response code');
    });

    it('17 replaces the whole configuration, and 351 shows it', async () => {
      const topic = await lab.topic(4);
      await create(topic, { readQueueNums: 6, writeQueueNums: 1, perm: 4 });
      const answer = await lab.broker.call(351, { topic });
      assert.deepEqual(JSON.parse(String(answer.body)), {
        attributes: {},
        order: false,
        perm: 4,
        readQueueNums: 6,
        topicFilterType: 'SINGLE_TAG',
        topicName: topic,
        topicSysFlag: 0,
        writeQueueNums: 1,
      });
    });

    for (const topic of ['a b', 'TBW102', 'x'.repeat(128), ' ']) {
      it(`17 refuses ${topic.length > 100 ? '128 characters' : `"${topic}"`} with 29`, async () => {
        assert.equal(code(await create(topic)), 29);
      });
    }

    it('351 answers 17 for an unknown topic', async () => {
      const answer = await lab.broker.call(351, { topic: 'nobody-made-this' });
      assert.equal(code(answer), 17);
      assert.equal(answer.remark, 'No topic in this broker. topic: nobody-made-this');
    });

    it('200 creates a group, so that commits are taken', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      assert.equal(code(await lab.commit(group, topic, 0, 1)), 26);
      const answer = await lab.broker.call(200, {}, { body: { groupName: group } });
      assert.equal(code(answer), 0);
      assert.equal(code(await lab.commit(group, topic, 0, 1)), 0);
    });

    for (const group of ['a b', 'x'.repeat(121)]) {
      it(`200 refuses ${group.length > 100 ? '121 characters' : `"${group}"`} with 29`, async () => {
        assert.equal(code(await lab.broker.call(200, {}, { body: { groupName: group } })), 29);
      });
    }

    it('a group with consumeEnable false may not pull: 16', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.broker.call(200, {}, { body: { groupName: group, consumeEnable: false } });
      const answer = await lab.pull(group, topic);
      assert.equal(code(answer), 16);
      assert.equal(answer.remark, `subscription group no permission, ${group}`);
    });

    it('a topic without the read bit may not be pulled: 16', async () => {
      const topic = await lab.topic(1, 2);
      const answer = await lab.pull(lab.group(), topic);
      assert.equal(code(answer), 16);
      assert.equal(answer.remark, `the topic[${topic}] pulling message is forbidden`);
    });
  });
}
