import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { COMMIT, code, INLINE, useLab } from './lab.ts';

/** 222, the administrative reset, and what it does to commits and pulls. */
export function resetChecks(target: () => ContractTarget): void {
  describe('administrative reset', () => {
    const lab = useLab(target);
    const reset = (group: string, topic: string, more: Record<string, number> = {}) =>
      lab.broker.call(222, { topic, group, timestamp: -1, isForce: true, ...more });
    /** A group that has read and committed five messages of queue 0. */
    const consumed = async () => {
      const [group, topic] = [lab.group(), await lab.topic(2)];
      for (let count = 0; count < 5; count++) await lab.send(topic);
      await lab.await(topic, 0, 5);
      await lab.pull(group, topic);
      await lab.commit(group, topic, 0, 5);
      return { group, topic };
    };

    it('works with nobody online and tells the new offsets, with queues as keys', async () => {
      const { group, topic } = await consumed();
      const answer = await reset(group, topic, { timestamp: 0 });
      assert.equal(code(answer), 0);
      const key = (queueId: number) =>
        `{"brokerName":"${lab.brokerName}","queueId":${queueId},"topic":"${topic}"}`;
      // In the order of a hash table.
      const tables = [`${key(0)}:0,${key(1)}:0`, `${key(1)}:0,${key(0)}:0`].map(
        (entries) => `{"offsetTable":{${entries}}}`,
      );
      assert.ok(tables.includes(String(answer.body)), String(answer.body));
      assert.equal(await lab.committed(group, topic, 0), '0');
    });

    it('−1 means the end', async () => {
      const { group, topic } = await consumed();
      await lab.commit(group, topic, 0, 1);
      await reset(group, topic);
      assert.equal(await lab.committed(group, topic, 0), '5');
    });

    it('commits are dropped with SUCCESS and a remark until a pull has seen it', async () => {
      const { group, topic } = await consumed();
      await reset(group, topic, { queueId: 0, offset: 2 });
      const dropped = await lab.commit(group, topic, 0, 4);
      assert.deepEqual([code(dropped), dropped.remark], [0, 'Offset has been previously reset']);
      assert.equal(await lab.committed(group, topic, 0), '2');

      const pulled = await lab.pull(group, topic, { offset: 5 });
      assert.deepEqual(
        [code(pulled), pulled.remark, pulled.extFields.nextBeginOffset, pulled.extFields.maxOffset],
        [21, 'OFFSET_RESET', '2', '5'],
      );
      assert.equal(code(await lab.pull(group, topic, { offset: 2 })), 0);
      const taken = await lab.commit(group, topic, 0, 3);
      assert.deepEqual(
        [code(taken), taken.remark, await lab.committed(group, topic, 0)],
        [0, undefined, '3'],
      );
    });

    it('a pull with the COMMIT flag writes its own offset over the reset', async () => {
      const { group, topic } = await consumed();
      await reset(group, topic, { queueId: 0, offset: 1 });
      const pulled = await lab.pull(group, topic, {
        offset: 5,
        sysFlag: INLINE | COMMIT,
        commitOffset: 5,
      });
      assert.equal(code(pulled), 21);
      assert.equal(await lab.committed(group, topic, 0), '5');
    });

    it('can be of one queue only', async () => {
      const { group, topic } = await consumed();
      await reset(group, topic, { queueId: 1, offset: 0 });
      assert.equal((await lab.commit(group, topic, 0, 4)).remark, undefined);
    });

    it('refuses offsets outside the queue with 1', async () => {
      const { group, topic } = await consumed();
      const answer = await reset(group, topic, { queueId: 0, offset: 100 });
      assert.deepEqual(
        [code(answer), answer.remark],
        [1, 'Target offset 100 not in consume queue range [0-5]'],
      );
    });

    it('answers 17 for an unknown topic and 26 for an unknown group', async () => {
      const { group, topic } = await consumed();
      const [noTopic, noGroup] = [
        await reset(group, 'nobody-made-this'),
        await reset('nobody-made-this', topic),
      ];
      assert.deepEqual(
        [code(noTopic), noTopic.remark],
        [17, 'Topic nobody-made-this does not exist'],
      );
      assert.deepEqual(
        [code(noGroup), noGroup.remark],
        [26, 'Group nobody-made-this does not exist'],
      );
    });
  });
}
