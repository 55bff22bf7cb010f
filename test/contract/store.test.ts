import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import {
  DeleteItemCommand,
  type DynamoDBClient,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { endedFor, TAKEOVER_MARGIN_MS } from '../../src/decide/lease/lease.ts';
import type { Assignment } from '../../src/model/assignment.ts';
import { MAX_CLOCK_SKEW_MS } from '../../src/model/clock-skew.ts';
import { isPopUnit, type MessageQueue, queueKey } from '../../src/model/message-queue.ts';
import type { EarlierItems } from '../../src/model/source.ts';
import type {
  AssignmentStore,
  GroupKey,
  LeaseAnswer,
  Plan,
} from '../../src/ports/assignment-store.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { renewLease, updateExpression } from '../../src/store/conditions.ts';
import { queueItemKey, standingPauseKey } from '../../src/store/items.ts';
import { ensureTable } from '../../src/store/table.ts';
import { type KeySpace, tenantPrefix, WITHOUT_TENANT } from '../../src/store/tenant.ts';
import {
  connect,
  databases,
  type LossyProxy,
  startLossyProxy,
  TABLE,
  TENANT,
} from '../support/databases.ts';
import { itemsOfTheBuildBefore } from '../support/earlier-items.ts';

const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 3 };
const NOW = 1_800_000_000_000;
const BIG = 9_223_372_036_854_775_807n;

for (const { name, missing, start } of databases) {
  describe(`assignment store on ${name}`, { skip: missing }, () => {
    let database: Awaited<ReturnType<typeof start>>;
    let client: DynamoDBClient;
    let proxy: LossyProxy;
    let throughProxy: DynamoDBClient;
    let store: AssignmentStore;
    /** The same table behind a connection that loses answers when told to. */
    let lossy: AssignmentStore;

    before(async () => {
      database = await start();
      client = await connect(database.endpoint);
      proxy = await startLossyProxy(database.endpoint);
      throughProxy = await connect(proxy.endpoint);
      store = createAssignmentStore(client, TABLE, { keys: TENANT, newToken: randomUUID });
      lossy = createAssignmentStore(throughProxy, TABLE, { keys: TENANT, newToken: randomUUID });
    });
    after(async () => {
      throughProxy.destroy();
      client.destroy();
      await proxy.stop();
      await database.stop();
    });

    /** A group of its own per test, with one queue of slot 0 that starts at 100. */
    async function withQueue(): Promise<GroupKey> {
      const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
      assert.equal(await store.create(group, queue, 0, 100n), true);
      return group;
    }
    async function only(group: GroupKey): Promise<Assignment> {
      const [assignment, ...others] = await store.list(group);
      assert.equal(others.length, 0);
      return assignment as Assignment;
    }
    const acquire = (
      group: GroupKey,
      holder: string,
      { slot = 0, now = NOW, via = store, of = queue } = {},
    ) =>
      via.acquire({
        ...group,
        queue: of,
        slot,
        holder,
        now,
        leaseUntil: now + 30_000,
        endsAt: now + 600_000,
      });
    const announce = (group: GroupKey, holder: string, { slot = 0, now = NOW, via = store } = {}) =>
      via.announceSuccessor({ ...group, queue, slot, holder, now, until: now + 10_000 });
    const lease = (group: GroupKey, holder: string, fence: number) => ({
      ...group,
      queue,
      holder,
      fence,
    });
    async function retire(group: GroupKey): Promise<void> {
      const { generation } = await only(group);
      assert.equal(await store.setAbsent(group, queue, NOW, generation), true);
      assert.equal(await store.setRetired(group, queue, NOW + 40_000, generation), true);
    }

    test('ensureTable is content with a table that is there', () => ensureTable(client, TABLE));

    describe('create', () => {
      test('makes the item; 64-bit offsets stay exact', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        await store.create(group, queue, 7, BIG);
        assert.deepEqual(await only(group), {
          ...group,
          queue,
          slot: 7,
          generation: 1,
          fence: 0,
          startOffset: BIG,
        });
      });
      test('loses when the item exists: the first start offset stays', async () => {
        const group = await withQueue();
        assert.equal(await store.create(group, queue, 1, 999n), false);
        assert.equal((await only(group)).startOffset, 100n);
      });
      test('counts as applied when its answer was lost, also when the queue was acquired meanwhile', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        proxy.loseNextAnswer(() => acquire(group, 'A'));
        assert.equal(await lossy.create(group, queue, 0, 100n), true);
        assert.equal((await only(group)).lease?.holder, 'A');
      });
      test('of twenty at once one wins', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, i) => store.create(group, queue, i, BigInt(i))),
        );
        assert.equal(results.filter(Boolean).length, 1);
        assert.equal((await only(group)).slot, results.indexOf(true));
      });
      test('keeps groups, clusters and queues apart', async () => {
        const group = await withQueue();
        const others = [
          { topic: 'orders', brokerName: 'broker-a', queueId: 4 },
          { topic: 'orders', brokerName: 'broker#a', queueId: 3 },
          { topic: `%RETRY%${group.consumerGroup}`, brokerName: 'broker-a', queueId: 3 },
        ];
        for (const other of others) assert.equal(await store.create(group, other, 0, 0n), true);
        assert.equal(await store.create({ ...group, cluster: 'other' }, queue, 0, 0n), true);
        assert.equal((await store.list(group)).length, 4);
        assert.equal((await store.list({ ...group, cluster: 'other' })).length, 1);
      });
    });

    test('reads and leases what earlier versions wrote: places of POP mode, slots, queues of others', async () => {
      const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
      const write = (part: string, topic: string, brokerName: string, id: number, slot: number) =>
        client.send(
          new PutItemCommand({
            TableName: TABLE,
            Item: {
              ...{
                pk: { S: `${tenantPrefix(TENANT)}GROUP#default#${part}` },
                sk: { S: `QUEUE#${topic}#${brokerName}#${id}` },
              },
              ...{ cluster: { S: 'default' }, consumerGroup: { S: part }, topic: { S: topic } },
              ...{ brokerName: { S: brokerName }, queueId: { N: String(id) } },
              ...{ slot: { N: String(slot) }, generation: { N: '1' }, fence: { N: '4' } },
              startOffset: { N: '0' },
            },
          }),
        );
      await write(group.consumerGroup, 'orders', 'broker-a', -2, 0);
      await write(group.consumerGroup, 'orders', 'broker-b', 1, -1);
      await write(`${group.consumerGroup}#seats`, '%SEAT%', '', 1, 1);
      const place = { topic: 'orders', brokerName: 'broker-a', queueId: 1, pops: true };
      assert.deepEqual(
        (await store.list(group)).map(({ queue, slot }) => [queue, slot]),
        [
          [place, 0],
          [{ topic: 'orders', brokerName: 'broker-b', queueId: 1 }, 'foreign'],
        ],
      );
      const [item] = await store.slots.list(group);
      assert.deepEqual(
        [item?.queue, item?.slot, item?.consumerGroup],
        [{ slot: 1 }, 1, group.consumerGroup],
      );
      const lease = { holder: 'A', now: NOW, leaseUntil: NOW + 9_000, endsAt: NOW + 9_000 };
      const pop = await store.acquire({ ...group, queue: place, slot: 0, ...lease });
      assert.ok(pop.applied && pop.assignment.fence === 5);
      const slot = await store.slots.acquire({ ...group, queue: { slot: 1 }, slot: 1, ...lease });
      assert.ok(slot.applied && slot.assignment.fence === 5);
      const foreign = { topic: 'orders', brokerName: 'broker-b', queueId: 1 };
      const other = await store.acquire({ ...group, queue: foreign, slot: 0, ...lease });
      assert.ok(!other.applied && other.reason === 'other-slot');
    });

    describe('a table that services share', () => {
      const storeOf = (keys: KeySpace) =>
        createAssignmentStore(client, TABLE, { keys, newToken: randomUUID });

      test('services and stages with the same cluster and group do not see each other', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        const tenants = [
          { service: 'shop', stage: 'dev' },
          { service: 'shop', stage: 'dev2' },
          { service: 'shop-dev', stage: 'dev' },
          { service: 'shop#dev', stage: 'dev' },
          { service: 'shop', stage: 'dev#dev' },
          { service: 'shop%23dev', stage: 'dev' },
          { service: 'sho', stage: 'p#dev' },
          { service: '*', stage: '?' },
        ];
        for (const [index, keys] of tenants.entries())
          assert.equal(await storeOf(keys).create(group, queue, 0, BigInt(index)), true);
        for (const [index, keys] of tenants.entries()) {
          const found = await storeOf(keys).list(group);
          assert.deepEqual(
            found.map(({ startOffset }) => startOffset),
            [BigInt(index)],
          );
        }
        const colliding = { cluster: `default#${group.consumerGroup}`, consumerGroup: 'seats' };
        await store.slots.create(group, 0);
        assert.deepEqual(await store.list(colliding), []);
      });

      test('items of an earlier build are taken over once their holder released', async () => {
        const old = storeOf(WITHOUT_TENANT);
        const group = await withQueueOf(old);
        const now = Date.now();
        const held = await acquire(group, 'OLD', { now, via: old });
        assert.ok(held.applied);
        const { fence } = held.assignment;
        assert.equal(await store.create(group, queue, 0, 999n), false);
        assert.deepEqual(await store.list(group), [], 'the old holder drains');
        const renewed = await old.renew({
          ...lease(group, 'OLD', fence),
          leaseUntil: now + 30_000,
        });
        assert.ok(renewed.applied && (renewed.assignment.pausedUntil ?? 0) > now + 1e9);
        await old.release({ ...lease(group, 'OLD', fence), committedOffset: 150n });

        await Promise.all([
          store.create(group, queue, 0, 999n),
          store.create(group, queue, 0, 999n),
        ]);
        const taken = await only(group);
        assert.deepEqual(
          [taken.startOffset, taken.committedOffset, taken.fence, taken.lease, taken.operatorPause],
          [100n, 150n, fence + 1, undefined, undefined],
        );
        assert.equal((await acquire(group, 'OLD-2', { now, via: old })).applied, false);
        await old.setOperatorPause(group, queue, undefined);
        assert.equal((await acquire(group, 'OLD-3', { now, via: old })).applied, false);
        assert.equal((await acquire(group, 'NEW', { now })).applied, true);
      });

      test('the death of an old holder is counted, and an old coordinator can make no further queue', async () => {
        const old = storeOf(WITHOUT_TENANT);
        const group = await withQueueOf(old);
        await acquire(group, 'OLD', { now: NOW - 10 ** 12, via: old });
        assert.equal(await store.create(group, queue, 0, 999n), false);
        const answer = await acquire(group, 'NEW', { now: Date.now() });
        assert.ok(answer.applied && answer.afterDeath === true);
        assert.equal(answer.assignment.crash?.count, 1);
        const later = { ...queue, queueId: 4 };
        assert.equal(await store.create(group, later, 1, 7n), true);
        assert.equal(await old.create(group, later, 1, 7n), false);
        assert.equal((await old.list(group)).length, 2);
      });

      test('an old puller that acquires between the look and the close keeps its lease', async () => {
        const old = storeOf(WITHOUT_TENANT);
        for (const isAbandoned of [false, true]) {
          const group = await withQueueOf(old);
          const now = Date.now();
          if (isAbandoned) await acquire(group, 'DEAD', { now: now - 10 ** 9, via: old });
          // Before: the look for old items, the claim, pauses, the plan, the note of both, the old item.
          proxy.beforeRequest(7, async () => {
            assert.equal((await acquire(group, 'OLD', { now, via: old })).applied, true);
          });
          assert.equal(await lossy.create(group, queue, 0, 999n), false);
          assert.deepEqual(await store.list(group), []);
          const held = await old.read(group, queue);
          assert.equal(held?.lease?.holder, 'OLD');
          assert.ok((held?.operatorPause?.until ?? 0) > now, 'sealed in the next round');
        }
      });

      test('plan and pauses come along', async () => {
        const old = storeOf(WITHOUT_TENANT);
        const group = await withQueueOf(old);
        const plan = { version: 3, strategy: 'AVG', slots: 1, topologyHash: 'x', lastPassAt: NOW };
        await old.writePlan(group, { ...plan, metTopics: ['orders'] }, undefined);
        const until = Date.now() + 3_600_000;
        const pause = { until, since: NOW, reason: 'maintenance' };
        await old.writeStandingPause(group, '*', pause);
        await old.setOperatorPause(group, queue, pause);
        assert.deepEqual((await store.readPlan(group))?.metTopics, ['orders']);
        assert.deepEqual(await store.standingPauses(group), [{ scope: '*', ...pause }]);
        await store.create(group, queue, 0, 999n);
        assert.deepEqual((await only(group)).operatorPause, pause);
      });

      test('a coordinator whose clock is ahead closes no item of a live holder', async () => {
        const old = storeOf(WITHOUT_TENANT);
        const group = await withQueueOf(old);
        const now = Date.now();
        const held = await acquire(group, 'OLD', { now, via: old });
        assert.ok(held.applied);
        const { fence, leaseUntil = 0 } = held.assignment.lease ?? {};
        const ahead = createAssignmentStore(client, TABLE, {
          ...{ keys: TENANT, newToken: randomUUID },
          now: () => leaseUntil + 29_000,
        });
        assert.equal(await ahead.create(group, queue, 0, 999n), false);
        const renewal = { ...lease(group, 'OLD', fence ?? 0), leaseUntil: leaseUntil + 20_000 };
        applied(await old.renew(renewal));
        assert.equal(await ahead.create(group, queue, 0, 999n), false);
        applied(await old.release({ ...lease(group, 'OLD', fence ?? 0), committedOffset: 150n }));
        await ahead.create(group, queue, 0, 999n);
        assert.equal((await only(group)).committedOffset, 150n);
      });

      test('a take-over that dies after any of its requests is finished by the next one', async () => {
        const old = storeOf(WITHOUT_TENANT);
        const pause = { until: Date.now() + 3_600_000, since: NOW, reason: 'maintenance' };
        for (let last = 1, isWhole = false; !isWhole; last++) {
          const group = await withQueueOf(old);
          await acquire(group, 'DEAD', { now: NOW - 10 ** 12, via: old });
          await old.writeStandingPause(group, '*', pause);
          await old.setOperatorPause(group, queue, pause);
          const later = { ...queue, queueId: 4 };
          const dying = createAssignmentStore(clientThatDies(last), TABLE, {
            ...{ keys: TENANT, newToken: randomUUID },
          });
          const attempts = await Promise.allSettled([
            dying.create(group, queue, 0, 999n),
            dying.create(group, later, 0, 7n),
          ]);
          isWhole = attempts.every(({ status }) => status === 'fulfilled');
          await store.create(group, queue, 0, 999n);
          await store.create(group, later, 0, 7n);
          const found = (await store.list(group)).toSorted(
            (a, b) => a.queue.queueId - b.queue.queueId,
          );
          const facts = found.map(({ startOffset, fence }) => [startOffset, fence]);
          assert.deepEqual(facts.slice(0, 1), [[100n, 2]], `after ${last} requests`);
          assert.deepEqual(facts[1]?.[0], 7n);
          assert.equal(found[0]?.lease?.holder, 'DEAD');
          assert.deepEqual(found[0]?.operatorPause, pause);
          assert.deepEqual(await store.standingPauses(group), [{ scope: '*', ...pause }]);
          for (const one of [queue, later])
            assert.equal(
              (await acquire(group, 'OLD', { now: NOW, via: old, of: one })).applied,
              false,
            );
        }
      });

      test('a pause that was shortened under the new key does not come back', async () => {
        const old = storeOf(WITHOUT_TENANT);
        const group = await withQueueOf(old);
        const pause = { until: Date.now() + 3_600_000, since: NOW, reason: 'maintenance' };
        await old.writeStandingPause(group, '*', pause);
        await store.create(group, queue, 0, 999n);
        // As the TTL does, when the shorter pause has ended.
        await client.send(
          new DeleteItemCommand({ TableName: TABLE, Key: standingPauseKey(TENANT, group, '*') }),
        );
        await storeOf(TENANT).create(group, { ...queue, queueId: 4 }, 0, 999n);
        assert.deepEqual(await store.standingPauses(group), []);
      });

      test('of two services that claim the items, one gets all of them and the other one none', async () => {
        const old = storeOf(WITHOUT_TENANT);
        const group = await withQueueOf(old);
        const later = { ...queue, queueId: 4 };
        await old.create(group, later, 0, 200n);
        await store.create(group, queue, 0, 999n);
        const other = storeOf({ service: 'other', stage: 'dev' });
        const refusal = { code: 'ROCKETMQ_EARLIER_ITEMS', message: /SERVICE#shop#dev# has taken/ };
        await assert.rejects(other.readPlan(group), refusal);
        await assert.rejects(other.create(group, later, 0, 999n), refusal);
        await assert.rejects(other.slots.create(group, 0), refusal);
        assert.deepEqual(await other.list(group), []);
        await store.create(group, later, 0, 999n);
        assert.deepEqual(
          (await store.list(group)).map(({ startOffset }) => startOffset).toSorted(),
          [100n, 200n],
        );
      });

      test('takeOver that was taken out of the configuration too early loses nothing', async () => {
        const old = storeOf(WITHOUT_TENANT);
        const group = await withQueueOf(old);
        const later = { ...queue, queueId: 4 };
        await old.create(group, later, 0, 200n);
        await store.create(group, queue, 0, 999n);
        const refusing = createAssignmentStore(client, TABLE, {
          ...{ keys: TENANT, earlierItems: 'refuse', newToken: randomUUID },
        });
        await assert.rejects(refusing.create(group, later, 0, 999n), {
          code: 'ROCKETMQ_EARLIER_ITEMS',
          message: /not taken over yet/,
        });
        assert.equal(await refusing.create(group, { ...queue, queueId: 5 }, 0, 300n), true);
        await store.create(group, later, 0, 999n);
        assert.equal((await store.read(group, later))?.startOffset, 200n);
      });

      /** One whose process dies after so many requests: their answers are lost, and no further one is sent. */
      function clientThatDies(requests: number): DynamoDBClient {
        let sent = 0;
        return Object.assign(Object.create(client) as DynamoDBClient, {
          async send(command: Parameters<DynamoDBClient['send']>[0]) {
            if (sent === requests) throw new Error('dead');
            const isLast = ++sent === requests;
            const answer = await client.send(command);
            if (isLast) throw new Error('dead');
            return answer;
          },
        });
      }

      describe('items of an earlier build that may be those of another service', () => {
        const tenant = { service: 'new', stage: 'dev' };
        const storeWith = (earlierItems: EarlierItems) =>
          createAssignmentStore(client, TABLE, {
            keys: tenant,
            earlierItems,
            newToken: randomUUID,
          });

        test('refuse: the group does not begin, and nothing is changed', async () => {
          const old = storeOf(WITHOUT_TENANT);
          const group = await withQueueOf(old);
          const before = await itemsOf(`GROUP#default#${group.consumerGroup}`);
          const refusing = storeWith('refuse');
          await refusing.writeStandingPause(group, '*', { until: NOW, since: NOW, reason: 'x' });
          const code = { code: 'ROCKETMQ_EARLIER_ITEMS' };
          await assert.rejects(refusing.readPlan(group), code);
          await assert.rejects(refusing.create(group, queue, 0, 1n), code);
          await assert.rejects(refusing.slots.create(group, 0), code);
          assert.deepEqual(await refusing.list(group), []);
          assert.deepEqual(await itemsOf(`GROUP#default#${group.consumerGroup}`), before);
        });

        test('refuse: items of slots alone count; a group without old items begins, and goes on beside later ones', async () => {
          const old = storeOf(WITHOUT_TENANT);
          const slotted = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
          await old.slots.create(slotted, 0);
          const refusing = storeWith('refuse');
          await assert.rejects(refusing.create(slotted, queue, 0, 1n), {
            code: 'ROCKETMQ_EARLIER_ITEMS',
          });
          const fresh = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
          assert.equal(await refusing.create(fresh, queue, 0, 1n), true);
          await old.create(fresh, queue, 0, 2n);
          assert.equal(await refusing.readPlan(fresh), undefined);
          assert.equal(await refusing.create(fresh, { ...queue, queueId: 4 }, 0, 1n), true);
        });

        test('ignore: the group begins beside them, and nothing of theirs is changed', async () => {
          const old = storeOf(WITHOUT_TENANT);
          const group = await withQueueOf(old);
          const before = await itemsOf(`GROUP#default#${group.consumerGroup}`);
          const ignoring = storeWith('ignore');
          assert.equal(await ignoring.readPlan(group), undefined);
          assert.equal(await ignoring.create(group, queue, 0, 7n), true);
          assert.equal((await ignoring.list(group))[0]?.startOffset, 7n);
          assert.deepEqual(await itemsOf(`GROUP#default#${group.consumerGroup}`), before);
          assert.equal((await acquire(group, 'OLD', { now: NOW, via: old })).applied, true);
        });

        async function itemsOf(pk: string) {
          const { Items } = await client.send(
            new QueryCommand({
              TableName: TABLE,
              ConsistentRead: true,
              KeyConditionExpression: 'pk = :pk',
              ExpressionAttributeValues: { ':pk': { S: pk } },
            }),
          );
          return Items;
        }
      });

      test('literal items, as the build before wrote them', async () => {
        const consumerGroup = `g-${randomUUID()}`;
        const group = { cluster: 'default', consumerGroup };
        for (const item of itemsOfTheBuildBefore(consumerGroup, Date.now()))
          await client.send(new PutItemCommand({ TableName: TABLE, Item: item }));
        const plan = await store.readPlan(group);
        assert.deepEqual([plan?.version, plan?.metTopics], [4, ['orders']]);
        assert.equal((await store.standingPauses(group))[0]?.reason, 'maintenance');
        for (const queueId of [0, 1, -1])
          await store.create(
            group,
            queueId < 0
              ? ({
                  topic: 'orders',
                  brokerName: 'broker-a',
                  queueId: 0,
                  pops: true,
                } as MessageQueue)
              : { topic: 'orders', brokerName: 'broker-a', queueId },
            0,
            999n,
          );
        await store.slots.create(group, 0);
        const found = new Map(
          (await store.list(group)).map((item) => [queueKey(item.queue), item] as const),
        );
        const released = found.get('orders/broker-a/0');
        assert.deepEqual(
          [released?.startOffset, released?.committedOffset, released?.settledOffset],
          [100n, 4711n, 4713n],
        );
        assert.deepEqual(
          [released?.slot, released?.generation, released?.fence, released?.heldUntil],
          [1, 3, 18, 1_800_000_000_000],
        );
        assert.deepEqual(
          [...(released?.attempts ?? [])],
          [
            [4711n, 2],
            [4712n, 2],
          ],
        );
        assert.deepEqual(released?.batchLimits, [{ until: 4720n, maxMessages: 8 }]);
        assert.deepEqual(released?.lifeMark, { offset: 4710n, storedAt: 1_799_999_999_000 });
        assert.equal(released?.operatorPause?.reason, 'maintenance');
        const died = found.get('orders/broker-a/1');
        assert.deepEqual(
          [died?.lease?.holder, died?.lease?.fence, died?.crash?.count],
          ['11111111-2222-3333-4444-555555555555', 8, 1],
        );
        assert.equal([...found.values()].filter(({ queue }) => isPopUnit(queue)).length, 1);
        assert.equal((await store.slots.list(group)).length, 1);
      });

      async function withQueueOf(one: AssignmentStore): Promise<GroupKey> {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        assert.equal(await one.create(group, queue, 0, 100n), true);
        return group;
      }
    });

    describe('move', () => {
      test('changes slot and generation, leaves the lease alone and ends the wish of the old slot', async () => {
        const group = await withQueue();
        await acquire(group, 'A');
        await announce(group, 'B');
        assert.equal(await store.move(group, queue, 2, 1), true);
        const assignment = await only(group);
        assert.equal(assignment.slot, 2);
        assert.equal(assignment.generation, 2);
        assert.equal(assignment.successor, undefined);
        assert.deepEqual(
          [assignment.lease?.holder, assignment.lease?.slot, assignment.fence],
          ['A', 0, 1],
        );
      });
      test('loses to another coordinator that moved first', async () => {
        const group = await withQueue();
        assert.equal(await store.move(group, queue, 2, 1), true);
        assert.equal(await store.move(group, queue, 3, 1), false);
        assert.equal((await only(group)).slot, 2);
      });
      test('loses when there is no item, and makes none', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        assert.equal(await store.move(group, queue, 2, 1), false);
        assert.deepEqual(await store.list(group), []);
      });
      test('counts as applied when its answer was lost, though a holder renewed meanwhile', async () => {
        const group = await withQueue();
        await acquire(group, 'A');
        proxy.loseNextAnswer(() =>
          store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 40_000 }),
        );
        assert.equal(await lossy.move(group, queue, 2, 1), true);
        assert.equal((await only(group)).generation, 2);
      });
    });

    describe('absent, retired, revived', () => {
      test('a queue is marked, retired, and revived with a new slot and generation', async () => {
        const group = await withQueue();
        await retire(group);
        const retired = await only(group);
        assert.equal(retired.absentSince, NOW);
        assert.equal(retired.retiredAt, NOW + 40_000);
        assert.equal(await store.revive(group, queue, 5, 1), true);
        assert.deepEqual(await only(group), {
          ...group,
          queue,
          slot: 5,
          generation: 2,
          fence: 0,
          startOffset: 100n,
        });
      });
      test('marking loses to a changed generation and to retirement', async () => {
        const group = await withQueue();
        assert.equal(await store.setAbsent(group, queue, NOW, 9), false);
        await retire(group);
        assert.equal(await store.setAbsent(group, queue, undefined, 1), false);
        assert.equal((await only(group)).absentSince, NOW);
      });
      test('retiring loses when the queue was found again, when it moved, and the second time', async () => {
        const group = await withQueue();
        assert.equal(await store.setRetired(group, queue, NOW, 1), false);
        await store.setAbsent(group, queue, NOW, 1);
        await store.setAbsent(group, queue, undefined, 1);
        assert.equal(await store.setRetired(group, queue, NOW, 1), false);
        await store.setAbsent(group, queue, NOW, 1);
        assert.equal(await store.setRetired(group, queue, NOW, 2), false);
        assert.equal(await store.setRetired(group, queue, NOW + 1, 1), true);
        assert.equal(await store.setRetired(group, queue, NOW + 2, 1), false);
        assert.equal((await only(group)).retiredAt, NOW + 1);
      });
      test('reviving loses when the queue is not retired and to a changed generation', async () => {
        const group = await withQueue();
        assert.equal(await store.revive(group, queue, 1, 1), false);
        await retire(group);
        assert.equal(await store.revive(group, queue, 1, 2), false);
        assert.equal(await store.revive(group, queue, 1, 1), true);
        assert.equal(await store.revive(group, queue, 2, 1), false);
      });
      test('each counts as applied when its answer was lost', async () => {
        const group = await withQueue();
        proxy.loseNextAnswer();
        assert.equal(await lossy.setAbsent(group, queue, NOW, 1), true);
        proxy.loseNextAnswer();
        assert.equal(await lossy.setRetired(group, queue, NOW, 1), true);
        proxy.loseNextAnswer();
        assert.equal(await lossy.revive(group, queue, 1, 1), true);
        assert.equal((await only(group)).generation, 2);
      });
    });

    describe('pause', () => {
      test('pauses, resumes, and makes no item', async () => {
        const group = await withQueue();
        await store.setPaused(group, queue, NOW + 60_000);
        assert.equal((await only(group)).pausedUntil, NOW + 60_000);
        await store.setPaused(group, queue, undefined);
        assert.equal((await only(group)).pausedUntil, undefined);
        await store.setPaused(group, { ...queue, queueId: 9 }, NOW);
        await store.setPaused(group, { ...queue, queueId: 9 }, undefined);
        assert.equal((await store.list(group)).length, 1);
      });
    });

    describe("an operator's pause", () => {
      const pause = { until: NOW + 60_000, since: NOW, reason: 'the warehouse moves' };
      test('stands beside the pause of a check: neither undoes the other, and the longer one counts', async () => {
        const group = await withQueue();
        assert.equal(await store.setOperatorPause(group, queue, pause), true);
        assert.deepEqual(
          [(await only(group)).pausedUntil, (await only(group)).operatorPause],
          [pause.until, pause],
        );
        await store.setPaused(group, queue, NOW + 90_000);
        assert.equal((await only(group)).pausedUntil, NOW + 90_000);
        await store.setPaused(group, queue, undefined);
        assert.equal((await only(group)).pausedUntil, pause.until);
        await store.setPaused(group, queue, NOW + 30_000);
        await store.setOperatorPause(group, queue, undefined);
        assert.deepEqual(
          [(await only(group)).pausedUntil, (await only(group)).operatorPause],
          [NOW + 30_000, undefined],
        );
        assert.equal(await store.setOperatorPause(group, { ...queue, queueId: 9 }, pause), false);
      });
      test('keeps everybody from the lease until it is over, and no longer', async () => {
        const group = await withQueue();
        await store.setOperatorPause(group, queue, pause);
        lost(await acquire(group, 'A', { now: pause.until }), 'paused');
        applied(await acquire(group, 'A', { now: pause.until + 1 }));
      });
      test('shows a holder at its renewal, which goes on', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        await store.setOperatorPause(group, queue, pause);
        const renewed = applied(
          await store.renew({ ...group, queue, holder: 'A', fence: 1, leaseUntil: NOW + 40_000 }),
        );
        assert.equal(renewed.pausedUntil, pause.until);
      });
      test('is noted for queues to come, per scope, and ended', async () => {
        const group = await withQueue();
        await store.writeStandingPause(group, '*', pause);
        await store.writeStandingPause(group, 'orders', { ...pause, reason: 'another' });
        assert.deepEqual(await store.standingPauses(group), [
          { scope: '*', ...pause },
          { scope: 'orders', ...pause, reason: 'another' },
        ]);
        await store.writeStandingPause(group, '*', undefined);
        assert.deepEqual(
          (await store.standingPauses(group)).map(({ scope, until }) => [scope, until]),
          [
            ['*', 0],
            ['orders', pause.until],
          ],
        );
        assert.equal((await store.list(group)).length, 1);
      });
      test('an offset that is kept here is written only while nobody holds the queue', async () => {
        const group = await withQueue();
        const write = { ended: endedFor(NOW + 30_000), forgetsCounts: false };
        assert.equal(await store.writeOffset(group, queue, { ...write, offset: 7n }), 'written');
        assert.equal((await only(group)).committedOffset, 7n);
        applied(await acquire(group, 'A'));
        assert.equal(await store.writeOffset(group, queue, { ...write, offset: 8n }), 'held');
        assert.equal((await only(group)).committedOffset, 7n);
        const other = { ...queue, queueId: 9 };
        assert.equal(await store.writeOffset(group, other, { ...write, offset: 8n }), 'missing');
      });
      for (const [what, endsAt, marginMs] of [
        ['that could be renewed', NOW + 600_000, TAKEOVER_MARGIN_MS],
        ['that ends with its invocation', NOW + 30_000, MAX_CLOCK_SKEW_MS],
      ] as const)
        test(`a lease ${what} has ended for an operator when it has for an invocation`, async () => {
          const group = await withQueue();
          const lease = { slot: 0, now: NOW, leaseUntil: NOW + 30_000, endsAt };
          applied(await store.acquire({ ...group, queue, holder: 'A', ...lease }));
          const write = { offset: 5n, forgetsCounts: false };
          const writeAt = (ms: number) =>
            store.writeOffset(group, queue, { ...write, ended: endedFor(NOW + 30_000 + ms) });
          assert.equal(await writeAt(marginMs), 'held');
          const now = NOW + 30_000 + marginMs;
          const other = { ...group, queue, holder: 'B', ...lease, now, ended: endedFor(now) };
          lost(await store.acquire(other), 'held');
          assert.equal(await writeAt(marginMs + 1), 'written');
        });
      test('an offset is written after a holder that vanished, which loses when it comes back', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        const figures = { committedOffset: 20n, confirmedAt: NOW, settledOffset: 21n };
        const counts = {
          crash: { offset: 20n, count: 2, isolateUntil: 25n },
          attempts: new Map([[21n, 3]]),
          batchLimits: [{ until: 25n, maxMessages: 1 }],
        };
        const renewal = { ...lease(group, 'A', 1), leaseUntil: NOW + 30_000 };
        applied(await store.renew({ ...renewal, ...figures, ...counts }));
        const ended = endedFor(NOW + 30_000 + TAKEOVER_MARGIN_MS + 1);
        const write = { offset: 5n, ended, handlerTimeoutMs: 60_000 };
        assert.equal(
          await store.writeOffset(group, queue, { ...write, forgetsCounts: false }),
          'written',
        );
        const written = await only(group);
        assert.deepEqual(
          [written.committedOffset, written.confirmedAt, written.settledOffset, written.lease],
          [5n, undefined, undefined, undefined],
        );
        assert.equal(written.handlersRunUntil, NOW + 90_000, 'its handlers may be at work still');
        const { crash, attempts, batchLimits } = written;
        assert.deepEqual({ crash, attempts, batchLimits }, counts);
        lost(await store.renew({ ...renewal, ...figures }), 'taken-over');
        lost(await store.release({ ...lease(group, 'A', 1), ...figures }), 'taken-over');
        assert.equal((await only(group)).committedOffset, 5n);
        assert.equal(
          await store.writeOffset(group, queue, { ...write, forgetsCounts: true }),
          'written',
        );
        const forgotten = await only(group);
        assert.deepEqual(
          [forgotten.crash, forgotten.attempts, forgotten.batchLimits],
          [undefined, undefined, undefined],
        );
        assert.equal(applied(await acquire(group, 'B', { now: NOW + 40_000 })).fence, 3);
      });
    });

    describe('plan', () => {
      const plan = (version: number): Plan => ({
        version,
        strategy: 'AVG',
        slots: 4,
        topologyHash: 'abc',
        metTopics: ['orders', `%RETRY%g`],
        lastPassAt: NOW,
      });
      test('is written once, then only over the version that was read', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        assert.equal(await store.readPlan(group), undefined);
        assert.equal(await store.writePlan(group, plan(1), undefined), true);
        assert.equal(await store.writePlan(group, plan(1), undefined), false);
        assert.equal(await store.writePlan(group, plan(2), 1), true);
        assert.equal(await store.writePlan(group, plan(2), 1), false);
        assert.deepEqual(await store.readPlan(group), plan(2));
        assert.deepEqual(await store.list(group), []);
      });
      test('loses when it is gone', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        assert.equal(await store.writePlan(group, plan(2), 1), false);
        assert.equal(await store.readPlan(group), undefined);
      });
      test('counts as applied when its answer was lost', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        proxy.loseNextAnswer();
        assert.equal(await lossy.writePlan(group, plan(1), undefined), true);
        proxy.loseNextAnswer();
        assert.equal(await lossy.writePlan(group, plan(2), 1), true);
      });
    });

    describe('acquire', () => {
      test('takes a free queue: fence +1, and all of the lease stands', async () => {
        const group = await withQueue();
        const assignment = applied(await acquire(group, 'A'));
        assert.deepEqual(assignment.lease, {
          holder: 'A',
          slot: 0,
          fence: 1,
          acquiredAt: NOW,
          leaseUntil: NOW + 30_000,
          endsAt: NOW + 600_000,
        });
        assert.equal(assignment.crash, undefined);
        assert.deepEqual(await only(group), assignment);
      });
      test('loses: missing, other-slot, retired, paused', async () => {
        const group = await withQueue();
        lost(
          await store.acquire({
            ...group,
            queue: { ...queue, queueId: 9 },
            slot: 0,
            holder: 'A',
            now: NOW,
            leaseUntil: 1,
            endsAt: 1,
          }),
          'missing',
        );
        lost(await acquire(group, 'A', { slot: 1 }), 'other-slot');
        await store.setPaused(group, queue, NOW);
        lost(await acquire(group, 'A'), 'paused');
        applied(await acquire(group, 'A', { now: NOW + 1 }));
        const other = await withQueue();
        await retire(other);
        lost(await acquire(other, 'A'), 'retired');
      });
      test('loses while the lease lives, to its last millisecond', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        assert.equal(lost(await acquire(group, 'B'), 'held')?.lease?.holder, 'A');
        lost(await acquire(group, 'B', { now: NOW + 30_000 }), 'held');
        assert.equal(applied(await acquire(group, 'B', { now: NOW + 30_001 })).fence, 2);
      });
      test('loses to a second run under the same name: an asynchronous event may be delivered twice', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        lost(await acquire(group, 'A'), 'held');
      });
      test('counts a holder that never released, and keeps what a living one wrote', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        const second = applied(await acquire(group, 'B', { now: NOW + 31_000 }));
        assert.deepEqual(second.crash, { offset: 100n, count: 1, isolateUntil: 100n });
        const third = applied(await acquire(group, 'C', { now: NOW + 62_000 }));
        assert.deepEqual(third.crash, { offset: 100n, count: 2, isolateUntil: 100n });
        const crash = { offset: 150n, count: 3, isolateUntil: 170n, suspect: 155n };
        applied(
          await store.renew({
            ...lease(group, 'C', 3),
            leaseUntil: NOW + 90_000,
            crash,
            committedOffset: 150n,
          }),
        );
        assert.deepEqual(applied(await acquire(group, 'D', { now: NOW + 90_001 })).crash, {
          ...crash,
          count: 4,
        });
      });
      test('counts a death for the suspect that the holder delivered, and for no other', async () => {
        const group = await withQueue();
        const suspect = { offset: 100n, count: 1, isolateUntil: 120n, suspect: 100n };
        let now = NOW;
        const dies = async (suspectedBy: number | undefined) => {
          const { fence } = applied(await acquire(group, `holder at ${now}`, { now }));
          if (suspectedBy !== undefined)
            applied(
              await store.renew({
                ...lease(group, `holder at ${now}`, fence),
                leaseUntil: now + 30_000,
                crash: { ...suspect, suspectedBy },
              }),
            );
          now += 31_000;
          const died = applied(await acquire(group, `after ${now}`, { now }));
          now += 31_000;
          return died.crash;
        };
        assert.deepEqual(await dies(1), { ...suspect, suspectedBy: 1, count: 2 });
        assert.deepEqual(await dies(undefined), { ...suspect, suspectedBy: 1, count: 2 });
        assert.deepEqual(await dies(0), { ...suspect, suspectedBy: 0 }, 'its delivery ended');
      });
      test('tells when the queue was held last, and whether its holder had died; nothing after a pause', async () => {
        const group = await withQueue();
        const take = async (holder: string, now: number) => {
          const answer = await acquire(group, holder, { now });
          assert.ok(answer.applied, holder);
          return [answer.assignment.heldUntil, answer.afterDeath];
        };
        assert.deepEqual(await take('A', NOW), [undefined, undefined]);
        await store.release({ ...lease(group, 'A', 1), heldUntil: NOW + 1_000 });
        assert.deepEqual(await take('B', NOW + 5_000), [NOW + 1_000, undefined]);
        assert.deepEqual(
          await take('C', NOW + 50_000),
          [NOW + 35_000, true],
          'B died: its lease ran out',
        );
        assert.deepEqual(
          await take('C', NOW + 90_000),
          [NOW + 80_000, undefined],
          'C is alive, and takes its own again',
        );
        await store.release(lease(group, 'C', 4));
        assert.deepEqual(
          await take('D', NOW + 91_000),
          [undefined, undefined],
          'C did not want to be missed',
        );
        await store.release({ ...lease(group, 'D', 5), heldUntil: NOW + 92_000 });
        await store.setPaused(group, queue, NOW + 93_000);
        assert.deepEqual(await take('E', NOW + 94_000), [undefined, undefined]);
        await store.release({ ...lease(group, 'E', 6), heldUntil: NOW + 95_000 });
        await store.setOperatorPause(group, queue, {
          until: NOW + 96_000,
          since: NOW,
          reason: 'x',
        });
        await store.setOperatorPause(group, queue, undefined);
        assert.deepEqual(await take('F', NOW + 97_000), [undefined, undefined]);
      });

      test('begins a crash record at the mirrored committed offset, and none after a release', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        applied(
          await store.renew({
            ...lease(group, 'A', 1),
            leaseUntil: NOW + 31_000,
            committedOffset: 120n,
          }),
        );
        assert.equal(applied(await acquire(group, 'B', { now: NOW + 31_001 })).crash?.offset, 120n);
        applied(await store.release(lease(group, 'B', 2)));
        assert.equal(applied(await acquire(group, 'C', { now: NOW + 32_000 })).crash, undefined);
      });
      test('loses to a successor that waits, until its wish ends; the successor itself takes it', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        applied(await announce(group, 'B'));
        lost(await acquire(group, 'C'), 'held');
        applied(await store.release(lease(group, 'A', 1)));
        lost(await acquire(group, 'C'), 'successor-waits');
        lost(await acquire(group, 'C', { now: NOW + 10_000 }), 'successor-waits');
        const taken = applied(await acquire(group, 'B'));
        assert.equal(taken.successor, undefined);
        const other = await withQueue();
        applied(await announce(other, 'B'));
        assert.equal(
          applied(await acquire(other, 'C', { now: NOW + 10_001 })).successor,
          undefined,
        );
      });
      test('of twenty at once one wins, on a free queue and on an abandoned one', async () => {
        const group = await withQueue();
        for (const [now, fence] of [
          [NOW, 1],
          [NOW + 31_000, 2],
        ] as const) {
          const answers = await Promise.all(
            Array.from({ length: 20 }, (_, i) => acquire(group, `P${now}-${i}`, { now })),
          );
          assert.equal(answers.filter((answer) => answer.applied).length, 1);
          for (const answer of answers) if (!answer.applied) assert.equal(answer.reason, 'held');
          assert.equal((await only(group)).fence, fence);
        }
        assert.equal((await only(group)).crash?.count, 1);
      });
      test('loses to a holder that renews late, between its read and its write', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        proxy.beforeRequest(3, () =>
          store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 60_000 }),
        );
        lost(await acquire(group, 'B', { now: NOW + 31_000, via: lossy }), 'held');
        assert.equal((await only(group)).lease?.holder, 'A');
      });
      test('loses to a holder that came and vanished between its read and its write, and then counts both deaths', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        // 1: the write for a free queue, 2: the read, 3: the take-over from A, which is C's by now.
        proxy.beforeRequest(3, () => acquire(group, 'C', { now: NOW + 30_001 }));
        const taken = applied(await acquire(group, 'B', { now: NOW + 70_000, via: lossy }));
        assert.deepEqual([taken.fence, taken.crash?.count], [3, 2]);
      });
      test('counts as applied when its answer was lost, and is not done twice', async () => {
        const group = await withQueue();
        proxy.loseNextAnswer();
        assert.equal(applied(await acquire(group, 'A', { via: lossy })).fence, 1);
        // After a crash the write for a free queue fails (1), the item is read (2), and the take-over (3) is the one to lose.
        proxy.beforeRequest(3, async () => proxy.loseNextAnswer());
        const taken = applied(await acquire(group, 'B', { now: NOW + 31_000, via: lossy }));
        assert.equal(taken.fence, 2);
        assert.equal(taken.crash?.count, 1);
      });
      test('counts as applied when its answer was lost and the coordinator moved the queue meanwhile', async () => {
        const group = await withQueue();
        proxy.loseNextAnswer(() => store.move(group, queue, 2, 1));
        const assignment = applied(await acquire(group, 'A', { via: lossy }));
        assert.deepEqual([assignment.slot, assignment.lease?.slot, assignment.fence], [2, 0, 1]);
      });
    });

    describe('renew', () => {
      test('extends, mirrors, writes and clears the crash record, and shows what to obey', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        await store.move(group, queue, 4, 1);
        const crash = { offset: 5n, count: 2, isolateUntil: 9n };
        const renewed = applied(
          await store.renew({
            ...lease(group, 'A', 1),
            leaseUntil: NOW + 50_000,
            committedOffset: BIG,
            maxOffset: BIG,
            crash,
          }),
        );
        assert.deepEqual(
          [
            renewed.slot,
            renewed.lease?.leaseUntil,
            renewed.committedOffset,
            renewed.maxOffset,
            renewed.crash,
          ],
          [4, NOW + 50_000, BIG, BIG, crash],
        );
        const kept = applied(
          await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 60_000 }),
        );
        assert.deepEqual([kept.crash, kept.committedOffset], [crash, BIG]);
        assert.equal(
          applied(
            await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 60_000, crash: null }),
          ).crash,
          undefined,
        );
      });
      test('failed attempts of ordered messages stay over renewals, deaths and moves until they are replaced or cleared', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        const attempts = new Map([
          [5n, 3],
          [BIG, 1],
        ]);
        const renewed = applied(
          await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 30_000, attempts }),
        );
        assert.deepEqual(renewed.attempts, attempts);
        assert.deepEqual(
          applied(await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 30_000 }))
            .attempts,
          attempts,
        );
        assert.deepEqual(
          applied(await acquire(group, 'B', { now: NOW + 30_001 })).attempts,
          attempts,
        );
        await store.move(group, queue, 1, 1);
        const more = new Map([[5n, 4]]);
        assert.deepEqual(
          applied(await store.release({ ...lease(group, 'B', 2), attempts: more })).attempts,
          more,
        );
        applied(await acquire(group, 'C', { slot: 1, now: NOW + 31_000 }));
        const cleared = applied(
          await store.renew({ ...lease(group, 'C', 3), leaseUntil: NOW + 60_000, attempts: null }),
        );
        assert.equal(cleared.attempts, undefined);
        applied(await store.renew({ ...lease(group, 'C', 3), leaseUntil: NOW + 60_000, attempts }));
        assert.equal(applied(await store.release(lease(group, 'C', 3))).attempts, undefined);
      });
      test('loses to another holder, to an own later fence, after release, and without item', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        applied(await acquire(group, 'B', { now: NOW + 31_000 }));
        assert.equal(
          lost(
            await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 99_000 }),
            'taken-over',
          )?.lease?.holder,
          'B',
        );
        applied(await acquire(group, 'A', { now: NOW + 62_000 }));
        lost(
          await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 99_000 }),
          'taken-over',
        );
        applied(await store.release(lease(group, 'A', 3)));
        lost(
          await store.renew({ ...lease(group, 'A', 3), leaseUntil: NOW + 99_000 }),
          'taken-over',
        );
        await client.send(
          new DeleteItemCommand({ TableName: TABLE, Key: queueItemKey(TENANT, group, queue) }),
        );
        lost(await store.renew({ ...lease(group, 'A', 3), leaseUntil: NOW + 99_000 }), 'missing');
        assert.deepEqual(await store.list(group), []);
      });
      test('one that was given up and arrives after the next: the end and the figures of the next stay', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        const first = Promise.withResolvers<void>();
        const arrived = Promise.withResolvers<unknown>();
        proxy.beforeRequest(1, () => first.promise);
        const late = lossy
          .renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 40_000, committedOffset: 110n })
          .then(arrived.resolve, arrived.reject);
        // The holder waits no longer for it: its later writes go over another connection.
        const later = createAssignmentStore(client, TABLE, { keys: TENANT, newToken: randomUUID });
        for (const [leaseUntil, committedOffset] of [
          [NOW + 45_000, 115n],
          [NOW + 50_000, 120n],
        ] as const)
          applied(await later.renew({ ...lease(group, 'A', 1), leaseUntil, committedOffset }));
        const sent = renewLease(
          { ...lease(group, 'A', 1), leaseUntil: NOW + 40_000, committedOffset: 110n },
          1,
        );
        await assert.rejects(
          client.send(
            new UpdateItemCommand({
              TableName: TABLE,
              Key: queueItemKey(TENANT, group, queue),
              ...updateExpression(sent, 'late'),
            }),
          ),
          { name: 'ConditionalCheckFailedException' },
        );
        const item = await only(group);
        assert.deepEqual([item.lease?.leaseUntil, item.committedOffset], [NOW + 50_000, 120n]);
        first.resolve();
        await late;
        // One that the holder still waits for is answered with what the next one wrote.
        const answer = applied((await arrived.promise) as LeaseAnswer);
        for (const { lease: held, committedOffset } of [answer, await only(group)])
          assert.deepEqual([held?.leaseUntil, committedOffset], [NOW + 50_000, 120n]);
      });
      test('the mark of the queue stays until it is replaced or removed', async () => {
        const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
        const marks = [
          { offset: 99n, storedAt: NOW - 9 },
          { offset: BIG, storedAt: NOW },
        ] as const;
        assert.equal(await store.create(group, queue, 0, 100n, marks[0]), true);
        applied(await acquire(group, 'A'));
        const key = { ...lease(group, 'A', 1), leaseUntil: NOW + 40_000 };
        assert.deepEqual(applied(await store.renew(key)).lifeMark, marks[0]);
        assert.deepEqual(
          applied(await store.renew({ ...key, lifeMark: marks[1] })).lifeMark,
          marks[1],
        );
        const removed = await store.release({ ...lease(group, 'A', 1), lifeMark: null });
        assert.equal(applied(removed).lifeMark, undefined);
      });
      test('works late when nobody took over, and then keeps others out', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        applied(await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 70_000 }));
        lost(await acquire(group, 'B', { now: NOW + 40_000 }), 'held');
      });
      test('counts as applied when its answer was lost', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        proxy.loseNextAnswer();
        applied(await lossy.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 70_000 }));
      });
    });

    describe('release', () => {
      test('ends the lease; keeps fence, mirrors and the successor; the crash record stays only when given', async () => {
        const group = await withQueue();
        const crash = { offset: 5n, count: 2, isolateUntil: 9n };
        applied(await acquire(group, 'A'));
        applied(await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 30_000, crash }));
        applied(await announce(group, 'B'));
        const released = applied(
          await store.release({
            ...lease(group, 'A', 1),
            committedOffset: 130n,
            maxOffset: 140n,
            crash,
          }),
        );
        assert.deepEqual(released, {
          ...group,
          queue,
          slot: 0,
          generation: 1,
          startOffset: 100n,
          fence: 1,
          crash,
          committedOffset: 130n,
          maxOffset: 140n,
          successor: { holder: 'B', until: NOW + 10_000 },
        });
        applied(await acquire(group, 'B'));
        const second = applied(await store.release(lease(group, 'B', 2)));
        assert.equal(second.crash, undefined);
        assert.equal(second.committedOffset, 130n);
      });
      test('loses to a take-over and does not end the other lease', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        applied(await acquire(group, 'B', { now: NOW + 31_000 }));
        lost(await store.release(lease(group, 'A', 1)), 'taken-over');
        assert.equal((await only(group)).lease?.holder, 'B');
        lost(
          await store.release({ ...lease(group, 'A', 1), queue: { ...queue, queueId: 9 } }),
          'missing',
        );
      });
      test('counts as applied when its answer was lost, also when the next holder acquired meanwhile', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        proxy.loseNextAnswer(() => acquire(group, 'B'));
        applied(await lossy.release(lease(group, 'A', 1)));
        assert.equal((await only(group)).lease?.holder, 'B');
      });
    });

    describe('announceSuccessor', () => {
      test('stands beside the lease, may be repeated, and its holder sees it', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        applied(await announce(group, 'B'));
        applied(await announce(group, 'B', { now: NOW + 5_000 }));
        const renewed = applied(
          await store.renew({ ...lease(group, 'A', 1), leaseUntil: NOW + 40_000 }),
        );
        assert.deepEqual(renewed.successor, { holder: 'B', until: NOW + 15_000 });
      });
      test('loses: another wish, missing, other-slot, retired, paused', async () => {
        const group = await withQueue();
        applied(await announce(group, 'B'));
        lost(await announce(group, 'C'), 'successor-waits');
        applied(await announce(group, 'C', { now: NOW + 10_001 }));
        lost(await announce(group, 'C', { slot: 1 }), 'other-slot');
        await store.setPaused(group, queue, NOW);
        lost(await announce(group, 'C'), 'paused');
        await store.setPaused(group, queue, undefined);
        await retire(group);
        lost(await announce(group, 'C'), 'retired');
        lost(await announce({ ...group, cluster: 'none' }, 'C'), 'missing');
      });
      test('counts as applied when its answer was lost', async () => {
        const group = await withQueue();
        applied(await acquire(group, 'A'));
        proxy.loseNextAnswer();
        applied(await announce(group, 'B', { via: lossy }));
      });
    });

    test('a table that is not there is an error, not a lost write', async () => {
      const elsewhere = createAssignmentStore(client, 'no-such-table', {
        keys: TENANT,
        newToken: randomUUID,
      });
      await assert.rejects(elsewhere.create({ cluster: 'c', consumerGroup: 'g' }, queue, 0, 0n), {
        name: 'ResourceNotFoundException',
      });
    });
  });
}

function applied(answer: LeaseAnswer): Assignment {
  if (!answer.applied) assert.fail(`lost: ${answer.reason}`);
  return answer.assignment;
}

function lost(answer: LeaseAnswer, reason: string): Assignment | undefined {
  if (answer.applied) assert.fail('applied');
  assert.equal(answer.reason, reason);
  return answer.current;
}
