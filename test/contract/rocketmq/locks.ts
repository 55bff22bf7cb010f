import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RawConnection } from '../../support/raw-connection.ts';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { code, useLab } from './lab.ts';

/** 41 and 42. `lockMaxLiveMs`: what the target is configured with. */
export function lockChecks(target: () => ContractTarget, lockMaxLiveMs: number): void {
  describe('queue locks', { concurrency: true }, () => {
    const lab = useLab(target);
    const body = (consumerGroup: string, clientId: string, topic: string, queueIds: number[]) => ({
      consumerGroup,
      clientId,
      mqSet: queueIds.map((queueId) => ({ topic, brokerName: lab.brokerName, queueId })),
      onlyThisBroker: false,
    });
    const lock = async (
      ...[group, clientId, topic, queueIds, connection = lab.broker]: [
        string,
        string,
        string,
        number[],
        RawConnection?,
      ]
    ) => {
      const answer = await connection.call(
        41,
        {},
        { body: body(group, clientId, topic, queueIds) },
      );
      assert.equal(code(answer), 0);
      const { lockOKMQSet } = JSON.parse(String(answer.body)) as {
        lockOKMQSet: { topic: string; brokerName: string; queueId: number }[];
      };
      assert(
        lockOKMQSet.every((queue) => queue.topic === topic && queue.brokerName === lab.brokerName),
      );
      return lockOKMQSet.map((queue) => queue.queueId).sort((a, b) => a - b);
    };
    const unlock = (group: string, clientId: string, topic: string, queueIds: number[]) =>
      lab.broker.call(42, {}, { body: body(group, clientId, topic, queueIds) });

    it('41 locks what is free and leaves out the rest', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      assert.deepEqual(await lock(group, 'one', topic, [0, 1]), [0, 1]);
      assert.deepEqual(await lock(group, 'two', topic, [1, 2]), [2]);
      assert.deepEqual(await lock(group, 'one', topic, [0, 1, 2]), [0, 1]);
    });

    it('the owner is the client id, whatever the connection', async () => {
      const [group, topic, other] = [lab.group(), await lab.topic(), await lab.connect()];
      await lock(group, 'one', topic, [0], other);
      other.close();
      await sleep(100);
      assert.deepEqual(await lock(group, 'two', topic, [0]), []);
      assert.deepEqual(await lock(group, 'one', topic, [0]), [0]);
    });

    it('groups do not see each other’s locks', async () => {
      const topic = await lab.topic();
      assert.deepEqual(
        [await lock(lab.group(), 'one', topic, [0]), await lock(lab.group(), 'two', topic, [0])],
        [[0], [0]],
      );
    });

    it('42 frees for the next one', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lock(group, 'one', topic, [0, 1]);
      assert.equal(code(await unlock(group, 'one', topic, [0])), 0);
      assert.deepEqual(await lock(group, 'two', topic, [0, 1]), [0]);
    });

    it('42 by another owner is a success without effect', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lock(group, 'one', topic, [0]);
      assert.equal(code(await unlock(group, 'two', topic, [0])), 0);
      assert.deepEqual(await lock(group, 'two', topic, [0]), []);
    });

    it('42 for a group without locks is a success', async () => {
      assert.equal(code(await unlock(lab.group(), 'one', await lab.topic(), [0])), 0);
    });

    it('a lock that is not renewed can be taken over; renewing keeps it', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lock(group, 'one', topic, [0, 1]);
      await sleep(lockMaxLiveMs / 2);
      await lock(group, 'one', topic, [1]);
      await sleep(lockMaxLiveMs / 2 + 300);
      assert.deepEqual(await lock(group, 'two', topic, [0, 1]), [0]);
    });
  });
}
