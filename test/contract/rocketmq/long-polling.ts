import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { COMMIT, code, INLINE, SUSPEND, useLab } from './lab.ts';
import { onlyRecord, recordsIn } from './records.ts';

const HOLD = INLINE | SUSPEND;
/** The broker looks at held pulls every 5 s; a little more for a busy machine. */
const TICK_MS = 5000;
const SLACK_MS = 1000;

/** 11 with the SUSPEND flag. These run side by side, because each waits for the broker's tick. */
export function longPollChecks(target: () => ContractTarget): void {
  describe('long polling', { concurrency: true }, () => {
    const lab = useLab(target);
    const timed = async <T>(work: Promise<T>) => {
      const start = performance.now();
      return { answer: await work, ms: performance.now() - start };
    };

    it('is answered at once by a message that is there', async () => {
      const topic = await lab.topic();
      await lab.send(topic);
      const { answer, ms } = await timed(
        lab.pull(lab.group(), topic, { sysFlag: HOLD, suspendMs: 15_000 }),
      );
      assert.equal(code(answer), 0);
      assert(ms < 1000, `${ms} ms`);
    });

    it('is not held without the flag, nor at an illegal offset', async () => {
      const topic = await lab.topic();
      const without = await timed(lab.pull(lab.group(), topic, { suspendMs: 15_000 }));
      const illegal = await timed(
        lab.pull(lab.group(), topic, { sysFlag: HOLD, suspendMs: 15_000, offset: 5 }),
      );
      assert.deepEqual([code(without.answer), code(illegal.answer)], [19, 21]);
      assert(without.ms < 1000 && illegal.ms < 1000);
    });

    it('wakes up when a message arrives', async () => {
      const topic = await lab.topic();
      await lab.send(topic, { queueId: 1, body: 'first, so that the topic is warm' });
      const held = timed(lab.pull(lab.group(), topic, { sysFlag: HOLD, suspendMs: 15_000 }));
      await sleep(300);
      await lab.send(topic, { body: 'arrived' });
      const { answer, ms } = await held;
      assert.equal(onlyRecord(recordsIn(answer.body)).body, 'arrived');
      assert(ms < 300 + SLACK_MS, `${ms} ms`);
    });

    it('wakes up every pull of the queue, and none of another queue', async () => {
      const topic = await lab.topic();
      const held = [0, 0, 1].map((queueId) =>
        timed(lab.pull(lab.group(), topic, { queueId, sysFlag: HOLD, suspendMs: 1000 })),
      );
      await sleep(300);
      await lab.send(topic, { queueId: 0 });
      const [first, second, other] = await Promise.all(held);
      assert.deepEqual(
        [first, second, other].map((result) => result && code(result.answer)),
        [0, 0, 19],
      );
      assert((other?.ms ?? 0) >= 1000);
    });

    it('wakes up for a tag that it wants', async () => {
      const topic = await lab.topic();
      const held = timed(
        lab.pull(lab.group(), topic, { sysFlag: HOLD, suspendMs: 15_000, subscription: 'B' }),
      );
      await sleep(300);
      await lab.send(topic, { properties: { TAGS: 'B' } });
      const { answer, ms } = await held;
      assert.equal(code(answer), 0);
      assert(ms < 300 + SLACK_MS, `${ms} ms`);
    });

    it('does not wake up for another tag; the next tick answers 20 and passes it', async () => {
      const topic = await lab.topic();
      const held = timed(
        lab.pull(lab.group(), topic, { sysFlag: HOLD, suspendMs: 15_000, subscription: 'B' }),
      );
      await sleep(100);
      await lab.send(topic, { properties: { TAGS: 'A' } });
      const { answer, ms } = await held;
      assert.deepEqual(
        [code(answer), answer.remark, answer.extFields.nextBeginOffset],
        [20, 'NO_MATCHED_MESSAGE', '1'],
      );
      assert(ms < TICK_MS + SLACK_MS, `${ms} ms`);
    });

    it('ends at the first tick after its time, with 19', async () => {
      const topic = await lab.topic();
      const { answer, ms } = await timed(
        lab.pull(lab.group(), topic, { sysFlag: HOLD, suspendMs: 1000 }),
      );
      assert.deepEqual(
        [code(answer), answer.remark, answer.extFields.nextBeginOffset],
        [19, 'NO_MESSAGE_IN_QUEUE', '0'],
      );
      assert(ms >= 1000 && ms < 1000 + TICK_MS + SLACK_MS, `${ms} ms`);
    });

    it('is held over a tick when its time is longer', async () => {
      const topic = await lab.topic();
      const { answer, ms } = await timed(
        lab.pull(lab.group(), topic, { sysFlag: HOLD, suspendMs: 6000 }),
      );
      assert.equal(code(answer), 19);
      assert(ms >= 6000 && ms < 6000 + TICK_MS + SLACK_MS, `${ms} ms`);
    });

    it('learns of a reset only when its time is over', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.send(topic);
      const held = timed(lab.pull(group, topic, { offset: 1, sysFlag: HOLD, suspendMs: 1000 }));
      await sleep(300);
      assert.equal(
        code(await lab.broker.call(222, { topic, group, timestamp: 0, isForce: true })),
        0,
      );
      const { answer, ms } = await held;
      assert.deepEqual(
        [code(answer), answer.remark, answer.extFields.nextBeginOffset],
        [21, 'OFFSET_RESET', '0'],
      );
      assert(ms >= 1000, `${ms} ms`);
    });

    it('stores the offset of a COMMIT flag when it is held, not when it wakes', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.send(topic);
      const held = lab.pull(group, topic, {
        offset: 1,
        sysFlag: HOLD | COMMIT,
        commitOffset: 1,
        suspendMs: 15_000,
      });
      await sleep(300);
      assert.equal(await lab.committed(group, topic, 0), '1');
      await lab.commit(group, topic, 0, 0);
      await lab.send(topic);
      await held;
      assert.equal(await lab.committed(group, topic, 0), '0');
    });

    it('leaves the connection free for other requests', async () => {
      const [topic, connection] = [await lab.topic(), await lab.connect()];
      const held = lab.pull(lab.group(), topic, { sysFlag: HOLD, suspendMs: 15_000 }, connection);
      const { answer, ms } = await timed(connection.call(31, { topic, queueId: 0 }));
      assert.equal(code(answer), 0);
      assert(ms < 1000);
      await lab.send(topic);
      assert.equal(code(await held), 0);
    });

    it('takes nothing from others when its connection closes', async () => {
      const [group, topic, connection] = [lab.group(), await lab.topic(), await lab.connect()];
      const held = lab
        .pull(group, topic, { sysFlag: HOLD, suspendMs: 15_000 }, connection)
        .catch(() => 'closed');
      await sleep(200);
      connection.close();
      assert.equal(await held, 'closed');
      await lab.send(topic);
      assert.equal(onlyRecord(recordsIn((await lab.pull(group, topic)).body)).body, 'hello');
    });
  });
}
