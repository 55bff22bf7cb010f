import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { RawFrame } from '../../support/raw-connection.ts';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { code, useLab } from './lab.ts';
import type { RawRecord } from './records.ts';
import { onlyRecord } from './records.ts';

/** 36, and ordinary sends to the retry topic. */
export function sendBackChecks(target: () => ContractTarget): void {
  describe('sending back', { concurrency: true }, () => {
    const lab = useLab(target);

    interface Settings {
      delayLevel?: number;
      maxReconsumeTimes?: number;
      short?: boolean;
      version?: number;
    }
    const sendBack = (
      group: string,
      record: Pick<RawRecord, 'physicalOffset' | 'offsetMsgId' | 'topic'>,
      settings: Settings = {},
    ) =>
      lab.broker.call(
        36,
        {
          group,
          offset: record.physicalOffset,
          delayLevel: settings.delayLevel ?? 1,
          ...(!settings.short && {
            originMsgId: record.offsetMsgId,
            originTopic: record.topic,
            unitMode: false,
            maxReconsumeTimes: settings.maxReconsumeTimes ?? 16,
          }),
        },
        settings.version === undefined ? {} : { version: settings.version },
      );
    const stored = async (settings: Parameters<typeof lab.send>[1] = {}) => {
      const topic = await lab.topic();
      assert.equal(code(await lab.send(topic, settings)), 0);
      return onlyRecord(await lab.await(topic, 0, 1));
    };
    const retried = async (group: string, count = 1) =>
      (await lab.await(`%RETRY%${group}`, 0, count)).at(-1) as RawRecord;
    const dead = async (group: string) => onlyRecord(await lab.await(`%DLQ%${group}`, 0, 1));
    const queues = async (topic: string) =>
      JSON.parse(String((await lab.broker.call(351, { topic })).body)) as {
        readQueueNums: number;
        perm: number;
      };

    it('the message returns on the retry topic, one failure more, otherwise unchanged', async () => {
      const group = lab.group();
      const original = await stored({
        body: 'text',
        flag: 5,
        properties: { UNIQ_KEY: 'KEY', TAGS: 'A', own: 'x' },
      });
      const asked = Date.now();
      const answer = await sendBack(group, original, { delayLevel: 2 });
      assert.deepEqual([code(answer), answer.remark, answer.extFields], [0, undefined, {}]);
      const record = await retried(group);
      assert.deepEqual(record.properties, {
        ...original.properties,
        RETRY_TOPIC: original.topic,
        ORIGIN_MESSAGE_ID: original.offsetMsgId,
        DELAY: '2',
        WAIT: 'false',
        REAL_TOPIC: `%RETRY%${group}`,
        REAL_QID: '0',
      });
      const { body, flag, sysFlag, bornTimestamp, bornHost, storeHost } = original;
      const same = {
        body: record.body,
        flag: record.flag,
        sysFlag: record.sysFlag,
        bornTimestamp: record.bornTimestamp,
      };
      assert.deepEqual(
        { ...same, bornHost: record.bornHost, storeHost: record.storeHost },
        { body, flag, sysFlag, bornTimestamp, bornHost, storeHost },
      );
      assert.deepEqual(
        [record.topic, record.queueId, record.reconsumeTimes],
        [`%RETRY%${group}`, 0, 1],
      );
      assert(
        record.storeTimestamp - asked > 1900 && record.storeTimestamp - asked < 3200,
        `${record.storeTimestamp - asked} ms`,
      );
    });

    it('the retry topic appears with the first send-back: one queue, read and write', async () => {
      const group = lab.group();
      assert.equal(code(await lab.names.call(105, { topic: `%RETRY%${group}` })), 17);
      await sendBack(group, await stored());
      const { readQueueNums, perm } = await queues(`%RETRY%${group}`);
      assert.deepEqual([readQueueNums, perm], [1, 6]);
      assert.equal(code(await lab.names.call(105, { topic: `%RETRY%${group}` })), 0);
    });

    it('a retry topic has as many queues as the group wants', async () => {
      const group = lab.group();
      await lab.broker.call(200, {}, { body: { groupName: group, retryQueueNums: 3 } });
      await sendBack(group, await stored());
      assert.equal((await queues(`%RETRY%${group}`)).readQueueNums, 3);
    });

    it('the second failure keeps the first topic and id', async () => {
      const group = lab.group();
      const original = await stored();
      await sendBack(group, original);
      await sendBack(group, await retried(group));
      const record = await retried(group, 2);
      assert.equal(record.reconsumeTimes, 2);
      assert.deepEqual(
        [record.properties.RETRY_TOPIC, record.properties.ORIGIN_MESSAGE_ID],
        [original.topic, original.offsetMsgId],
      );
    });

    it('level 0 means 3 + reconsumeTimes', async () => {
      const group = lab.group();
      await sendBack(group, await stored(), { delayLevel: 0 });
      assert.equal((await retried(group)).properties.DELAY, '3');
    });

    it('level −1 goes to the DLQ at once', async () => {
      const group = lab.group();
      const original = await stored({ properties: { UNIQ_KEY: 'KEY' } });
      await sendBack(group, original, { delayLevel: -1 });
      const record = await dead(group);
      assert.deepEqual(record.properties, {
        ...original.properties,
        RETRY_TOPIC: original.topic,
        ORIGIN_MESSAGE_ID: original.offsetMsgId,
        DELAY: '0',
        WAIT: 'false',
      });
      assert.deepEqual(
        [record.topic, record.reconsumeTimes, record.body],
        [`%DLQ%${group}`, 1, 'hello'],
      );
      const { readQueueNums, perm } = await queues(`%DLQ%${group}`);
      assert.deepEqual([readQueueNums, perm], [1, 6]);
    });

    it('at maxReconsumeTimes it goes to the DLQ', async () => {
      const group = lab.group();
      await sendBack(group, await stored(), { maxReconsumeTimes: 1 });
      await sendBack(group, await retried(group), { maxReconsumeTimes: 1 });
      assert.equal((await dead(group)).reconsumeTimes, 2);
    });

    it('without maxReconsumeTimes the group’s own limit counts', async () => {
      const group = lab.group();
      await lab.broker.call(200, {}, { body: { groupName: group, retryMaxTimes: 0 } });
      const original = await stored();
      await lab.broker.call(36, {
        group,
        offset: original.physicalOffset,
        delayLevel: 1,
        originTopic: original.topic,
        originMsgId: 'x',
      });
      assert.equal((await dead(group)).body, 'hello');
    });

    it('clients before 3.4.9 get the group’s limit whatever they say', async () => {
      const group = lab.group();
      await sendBack(group, await stored(), { maxReconsumeTimes: 0, version: 120 });
      assert.equal((await retried(group)).reconsumeTimes, 1);
    });

    it('takes the short form below the limit', async () => {
      const group = lab.group();
      assert.equal(code(await sendBack(group, await stored(), { short: true })), 0);
      assert.equal((await retried(group)).reconsumeTimes, 1);
    });

    it('answers 1 to the short form at the limit, and the message does not reach the DLQ', async () => {
      const group = lab.group();
      await lab.broker.call(200, {}, { body: { groupName: group, retryMaxTimes: 0 } });
      const answer = await sendBack(group, await stored(), { short: true });
      assert.equal(code(answer), 1);
      assert.equal(
        (await lab.broker.call(30, { topic: `%DLQ%${group}`, queueId: 0 })).extFields.offset,
        '0',
      );
    });

    it('answers 1 when no message starts at the offset', async () => {
      const { topic, offsetMsgId } = await stored();
      const answer = await sendBack(lab.group(), { physicalOffset: 1n << 50n, topic, offsetMsgId });
      assert.deepEqual(
        [code(answer), answer.remark],
        [1, `look message by offset failed, ${1n << 50n}`],
      );
    });

    it('answers 26 to an illegal group', async () => {
      assert.equal(code(await sendBack('a b', await stored())), 26);
    });

    it('creates the group', async () => {
      const group = lab.group();
      const original = await stored();
      await sendBack(group, original);
      assert.equal(code(await lab.commit(group, original.topic, 0, 1)), 0);
    });

    it('a group without retry queues loses the message with SUCCESS', async () => {
      const group = lab.group();
      await lab.broker.call(200, {}, { body: { groupName: group, retryQueueNums: 0 } });
      assert.equal(code(await sendBack(group, await stored())), 0);
      assert.equal(code(await lab.broker.call(351, { topic: `%RETRY%${group}` })), 17);
    });

    it('a group name of 120 characters gets a retry topic longer than 127 bytes', async () => {
      const group = `${lab.group()}-${'x'.repeat(120)}`.slice(0, 120);
      await sendBack(group, await stored());
      assert.equal((await retried(group)).topic, `%RETRY%${group}`);
    });
  });

  describe('sending to a retry topic', { concurrency: true }, () => {
    const lab = useLab(target);
    const retry = async (group: string, settings: Parameters<typeof lab.send>[1]) => {
      await lab.broker.call(200, {}, { body: { groupName: group } });
      return lab.send(`%RETRY%${group}`, { queueId: 0, queueNums: 1, ...settings });
    };

    it('goes to the retry topic while j ≤ l', async () => {
      const group = lab.group();
      const answer = await retry(group, {
        reconsumeTimes: 3,
        maxReconsumeTimes: 3,
        properties: { RETRY_TOPIC: 'origin', DELAY: '1' },
      });
      assert.equal(code(answer), 0);
      const record = onlyRecord(await lab.await(`%RETRY%${group}`, 0, 1));
      const { reconsumeTimes, properties } = record;
      assert.deepEqual(
        [reconsumeTimes, properties.RETRY_TOPIC, properties.DELAY],
        [3, 'origin', '1'],
      );
      assert.deepEqual([properties.REAL_TOPIC, properties.REAL_QID], [`%RETRY%${group}`, '0']);
    });

    it('goes to the DLQ when j > l', async () => {
      const group = lab.group();
      const answer = await retry(group, {
        reconsumeTimes: 4,
        maxReconsumeTimes: 3,
        properties: { UNIQ_KEY: 'KEY', RETRY_TOPIC: 'origin', DELAY: '5' },
      });
      assert.equal(code(answer), 0);
      const record = onlyRecord(await lab.await(`%DLQ%${group}`, 0, 1));
      assert.equal(record.reconsumeTimes, 4);
      const added = { TRACE_ON: 'true', MSG_REGION: 'DefaultRegion', CLUSTER: 'TestCluster' };
      assert.deepEqual(record.properties, {
        UNIQ_KEY: 'KEY',
        RETRY_TOPIC: 'origin',
        DELAY: '-1',
        ...added,
      });
    });

    it('without l the group’s own limit counts', async () => {
      const group = lab.group();
      await retry(group, { reconsumeTimes: 17 });
      onlyRecord(await lab.await(`%DLQ%${group}`, 0, 1));
    });

    it('goes to the DLQ while the group holds a queue lock', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      const lock = {
        consumerGroup: group,
        clientId: 'one',
        mqSet: [{ topic, brokerName: lab.brokerName, queueId: 0 }],
      };
      await lab.broker.call(41, {}, { body: lock });
      await retry(group, { reconsumeTimes: 1, maxReconsumeTimes: 16, body: 'locked' });
      assert.equal(onlyRecord(await lab.await(`%DLQ%${group}`, 0, 1)).body, 'locked');
      await lab.broker.call(42, {}, { body: lock });
      await retry(group, { reconsumeTimes: 1, maxReconsumeTimes: 16, body: 'free' });
      assert.equal(onlyRecord(await lab.await(`%RETRY%${group}`, 0, 1)).body, 'free');
    });

    it('answers 26 when the group’s name is illegal', async () => {
      const answer: RawFrame = await lab.send(`%RETRY%${'x'.repeat(121)}`);
      assert.equal(code(answer), 26);
    });
  });
}
