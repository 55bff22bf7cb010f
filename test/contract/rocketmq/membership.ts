import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RawConnection } from '../../support/raw-connection.ts';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { code, heartbeatBody, useLab } from './lab.ts';

/** 34, 35, 38, 203, 46 and the notification 40. */
export function membershipChecks(target: () => ContractTarget): void {
  describe('membership', () => {
    const lab = useLab(target);
    const ids = async (consumerGroup: string) => {
      const answer = await lab.broker.call(38, { consumerGroup });
      if (answer.code !== 0) return `code ${answer.code}: ${answer.remark}`;
      return (
        JSON.parse(String(answer.body)) as { consumerIdList: string[] }
      ).consumerIdList.sort();
    };
    const notices = async (connection: RawConnection, group: string, count: number) => {
      const seen = () =>
        connection.pushes.filter(
          (push) => push.code === 40 && push.extFields.consumerGroup === group,
        );
      for (const until = Date.now() + 2000; seen().length < count && Date.now() < until; )
        await sleep(10);
      await sleep(100);
      return seen();
    };

    it('34 registers the member and creates the retry topic', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      const answer = await lab.heartbeat(group, { clientID: 'one', topic });
      assert.equal(code(answer), 0);
      assert.deepEqual(answer.extFields, {
        IS_SUPPORT_HEART_BEAT_V2: 'true',
        IS_SUB_CHANGE: 'true',
      });
      assert.deepEqual(await ids(group), ['one']);
      assert.equal(code(await lab.names.call(105, { topic: `%RETRY%${group}` })), 0);
      assert.equal(code(await lab.commit(group, topic, 0, 1)), 0);
    });

    it('34 with an empty object is a success that registers nothing', async () => {
      assert.equal(code(await lab.broker.call(34, {}, { body: '{}' })), 0);
    });

    it('34 without a body is code 1', async () => {
      assert.equal(code(await lab.broker.call(34)), 1);
    });

    it('34 for an illegal group is a success that registers nothing', async () => {
      assert.equal(
        code(await lab.heartbeat('a b', { clientID: 'one', topic: await lab.topic() })),
        0,
      );
      assert.equal(await ids('a b'), 'code 1: no consumer for this group, a b');
    });

    it('38 lists a client id once per connection', async () => {
      const [group, topic, other] = [lab.group(), await lab.topic(), await lab.connect()];
      await lab.heartbeat(group, { clientID: 'one', topic });
      await lab.heartbeat(group, { clientID: 'one', topic }, other);
      assert.deepEqual(await ids(group), ['one', 'one']);
      other.close();
    });

    it('38 answers 1 for an empty group', async () => {
      const group = lab.group();
      assert.equal(await ids(group), `code 1: no consumer for this group, ${group}`);
    });

    it('203 tells who is connected and what the group subscribes to', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      await lab.heartbeat(group, { clientID: 'one', topic, tags: 'TagA' });
      const answer = await lab.broker.call(203, { consumerGroup: group });
      assert.equal(code(answer), 0);
      assert.deepEqual(JSON.parse(String(answer.body)), {
        connectionSet: [
          { clientAddr: lab.broker.localAddress, clientId: 'one', language: 'OTHER', version: 475 },
        ],
        consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
        consumeType: 'CONSUME_PASSIVELY',
        messageModel: 'CLUSTERING',
        subscriptionTable: {
          [topic]: {
            classFilterMode: false,
            codeSet: [2598919],
            expressionType: 'TAG',
            subString: 'TagA',
            subVersion: 1_700_000_000_000,
            tagsSet: ['TagA'],
            topic,
          },
        },
      });
    });

    it('203 answers 206 when nobody is online', async () => {
      const group = lab.group();
      const answer = await lab.broker.call(203, { consumerGroup: group });
      assert.deepEqual(
        [code(answer), answer.remark],
        [206, `the consumer group[${group}] not online`],
      );
    });

    it('a later heartbeat replaces the subscriptions', async () => {
      const [group, first, second] = [lab.group(), await lab.topic(), await lab.topic()];
      await lab.heartbeat(group, { clientID: 'one', topic: first });
      await lab.heartbeat(group, { clientID: 'one', topic: second });
      const body = JSON.parse(
        String((await lab.broker.call(203, { consumerGroup: group })).body),
      ) as { subscriptionTable: object };
      assert.deepEqual(Object.keys(body.subscriptionTable), [second]);
    });

    it('35 removes only the channel that it comes on', async () => {
      const [group, topic, other] = [lab.group(), await lab.topic(), await lab.connect()];
      await lab.heartbeat(group, { clientID: 'one', topic });
      assert.equal(code(await other.call(35, { clientID: 'one', consumerGroup: group })), 0);
      assert.deepEqual(await ids(group), ['one']);
      assert.equal(code(await lab.broker.call(35, { clientID: 'one', consumerGroup: group })), 0);
      assert.match(String(await ids(group)), /^code 1/);
      other.close();
    });

    it('a closed connection is no member any more', async () => {
      const [group, topic, other] = [lab.group(), await lab.topic(), await lab.connect()];
      await lab.heartbeat(group, { clientID: 'two', topic }, other);
      other.close();
      for (const until = Date.now() + 3000; Array.isArray(await ids(group)) && Date.now() < until; )
        await sleep(20);
      assert.match(String(await ids(group)), /^code 1/);
    });

    it('40 goes to every member when one comes, one-way, also to the new one', async () => {
      const [group, topic] = [lab.group(), await lab.topic()];
      const [first, second] = [await lab.connect(), await lab.connect()];
      await lab.heartbeat(group, { clientID: 'one', topic }, first);
      const [push] = await notices(first, group, 1);
      assert.deepEqual([push?.flag, push?.language, push?.body.length], [2, 'JAVA', 0]);
      await lab.heartbeat(group, { clientID: 'two', topic }, second);
      assert.equal((await notices(first, group, 2)).length, 2);
      assert.equal((await notices(second, group, 1)).length, 1);
      second.close();
      assert.equal((await notices(first, group, 3)).length, 3);
      first.close();
    });

    it('40 does not come for a heartbeat that changes nothing, but for new topics', async () => {
      const [group, topic, other] = [lab.group(), await lab.topic(), await lab.topic()];
      const connection = await lab.connect();
      await lab.heartbeat(group, { clientID: 'one', topic }, connection);
      await notices(connection, group, 1);
      await lab.heartbeat(group, { clientID: 'one', topic }, connection);
      assert.equal((await notices(connection, group, 1)).length, 1);
      await lab.heartbeat(group, { clientID: 'one', topic: other }, connection);
      assert.equal((await notices(connection, group, 2)).length, 2);
      connection.close();
    });

    it('40 does not go to broadcasting groups', async () => {
      const [group, connection] = [lab.group(), await lab.connect()];
      await lab.heartbeat(
        group,
        { clientID: 'one', topic: await lab.topic(), messageModel: 'BROADCASTING' },
        connection,
      );
      assert.equal((await notices(connection, group, 0)).length, 0);
      connection.close();
    });

    it('heartbeats of several groups in one', async () => {
      const [one, two, topic] = [lab.group(), lab.group(), await lab.topic()];
      const parts = [one, two].map(
        (group) => heartbeatBody(group, { clientID: 'x', topic }) as { consumerDataSet: object[] },
      );
      const body = { ...parts[0], consumerDataSet: parts.flatMap((part) => part.consumerDataSet) };
      await lab.broker.call(34, {}, { body });
      assert.deepEqual([await ids(one), await ids(two)], [['x'], ['x']]);
    });

    it('46 takes tags and refuses SQL92 with 1', async () => {
      const check = (expressionType: string) =>
        lab.broker.call(
          46,
          {},
          {
            body: {
              clientId: 'c',
              group: 'g',
              subscriptionData: { topic: 't', subString: 'a', expressionType, subVersion: 1 },
            },
          },
        );
      assert.equal(code(await check('TAG')), 0);
      const refused = await check('SQL92');
      assert.deepEqual(
        [code(refused), refused.remark],
        [1, 'The broker does not support consumer to filter message by SQL92'],
      );
    });
  });
}
