import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { UnsupportedRequestError } from '../../src/errors.ts';
import type { PoppedMessage } from '../../src/model/pop.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack, since, TESTED_VERSION } from '../support/stack.ts';

const brokerName = 'broker-a';
const INVISIBLE_MS = 3_000;
/** A broker brings an expired message back within its own scans. */
const REVIVAL_MS = 40_000;

if (since('5.0'))
  describe('popping from a real broker', {
    skip: missingStack('rocketmq'),
    concurrency: true,
  }, () => {
    let rocketmq: RealRocketMQ;
    let client: RocketMQClient;

    before(async () => {
      rocketmq = await startRealRocketMQ();
      client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
    });
    after(async () => {
      await client?.close();
      await rocketmq?.stop();
    });

    const topicOf = async (
      topic: string,
      bodies: readonly string[],
      tags?: string,
    ): Promise<string> => {
      await client.createTopic(topic, { readQueueNums: 4, writeQueueNums: 4 });
      for (const body of bodies)
        await client.send({
          topic,
          body: Buffer.from(body),
          ...(tags === undefined ? {} : { tags }),
        });
      return topic;
    };
    const pop = (
      consumerGroup: string,
      topic: string,
      pollMs: number,
      settings: { invisibleMs?: number; filter?: string } = {},
    ) =>
      client.pop({
        consumerGroup,
        topic,
        brokerName,
        subscription: buildSubscription(topic, settings.filter ?? '*'),
        maxMessages: 32,
        invisibleMs: settings.invisibleMs ?? INVISIBLE_MS,
        pollMs,
        start: 'min',
      });
    /** Pops until so many came. */
    const popAll = async (
      consumerGroup: string,
      topic: string,
      count: number,
      settings: { invisibleMs?: number; filter?: string; withinMs?: number } = {},
    ): Promise<PoppedMessage[]> => {
      const popped: PoppedMessage[] = [];
      const giveUpAt = Date.now() + (settings.withinMs ?? 10_000);
      while (popped.length < count) {
        if (Date.now() > giveUpAt) assert.fail(`${popped.length} of ${count} messages came`);
        popped.push(...(await pop(consumerGroup, topic, 1_000, settings)).messages);
      }
      return popped;
    };
    const bodies = (popped: readonly PoppedMessage[]): string[] =>
      popped.map(({ message }) => String(message.body)).sort();

    test('messages of all queues come, each once while it is invisible; acknowledged ones never again', async () => {
      const topic = await topicOf('pop-ack', ['0', '1', '2', '3', '4', '5', '6', '7']);
      const popped = await popAll('pop-ack-workers', topic, 8, { invisibleMs: INVISIBLE_MS });
      assert.deepEqual(bodies(popped), ['0', '1', '2', '3', '4', '5', '6', '7']);
      assert.ok(
        popped.every(
          ({ message, handle }) =>
            message.reconsumeTimes === 0 && handle.retryMark === 0 && message.topic === topic,
        ),
      );
      await Promise.all(popped.map(({ handle }) => client.ack('pop-ack-workers', topic, handle)));
      for (const giveUpAt = Date.now() + INVISIBLE_MS + 8_000; Date.now() < giveUpAt; )
        assert.deepEqual((await pop('pop-ack-workers', topic, 1_000)).messages, []);
    });

    test('without an acknowledgement it comes again, one failure more, with a handle of the retry topic that acknowledges it', async () => {
      const topic = await topicOf('pop-expire', ['x']);
      const [first] = await popAll('pop-expire-workers', topic, 1);
      assert.ok(first);
      const [second] = await popAll('pop-expire-workers', topic, 1, { withinMs: REVIVAL_MS });
      assert.ok(second);
      assert.deepEqual(
        [second.message.reconsumeTimes, second.message.topic, second.handle.retryMark],
        [1, topic, 1],
      );
      assert.equal(second.message.msgId, first.message.msgId);
      await client.ack('pop-expire-workers', topic, second.handle);
      for (const giveUpAt = Date.now() + INVISIBLE_MS + 8_000; Date.now() < giveUpAt; )
        assert.deepEqual((await pop('pop-expire-workers', topic, 1_000)).messages, []);
    });

    test('a changed invisible time counts from now; the new handle acknowledges', async () => {
      const topic = await topicOf('pop-change', ['kept', 'given back']);
      const popped = await popAll('pop-change-workers', topic, 2);
      const kept = popped.find(({ message }) => String(message.body) === 'kept');
      const givenBack = popped.find(({ message }) => String(message.body) === 'given back');
      assert.ok(kept && givenBack);
      let handle = kept.handle;
      const soon = await client.changeInvisibleTime(
        'pop-change-workers',
        topic,
        givenBack.handle,
        1_000,
      );
      assert.ok(soon.popTime >= givenBack.handle.popTime);
      assert.equal(soon.invisibleTime, 1_000n);
      // Kept ahead for longer than its first time, and than the broker needs to bring the other one back.
      const again: PoppedMessage[] = [];
      for (
        const giveUpAt = Date.now() + REVIVAL_MS;
        again.length === 0 && Date.now() < giveUpAt;
      ) {
        handle = await client.changeInvisibleTime(
          'pop-change-workers',
          topic,
          handle,
          INVISIBLE_MS,
        );
        again.push(...(await pop('pop-change-workers', topic, 1_000)).messages);
      }
      assert.deepEqual(bodies(again), ['given back']);
      assert.equal(again[0]?.message.reconsumeTimes, 1);
      await client.ack('pop-change-workers', topic, handle);
      await client.ack('pop-change-workers', topic, (again[0] as PoppedMessage).handle);
      for (const giveUpAt = Date.now() + INVISIBLE_MS + 8_000; Date.now() < giveUpAt; )
        assert.deepEqual((await pop('pop-change-workers', topic, 1_000)).messages, []);
    });

    test('tags filter, also at the second look; a poll ends at its time and is woken by a message', async () => {
      const topic = await topicOf('pop-tags', ['no'], 'BB');
      await client.send({ topic, body: Buffer.from('yes'), tags: 'Aa' });
      assert.deepEqual(bodies(await popAll('pop-tags-workers', topic, 1, { filter: 'Aa' })), [
        'yes',
      ]);
      const collided = await client.pop({
        consumerGroup: 'pop-tags-others',
        topic,
        brokerName,
        subscription: buildSubscription(topic, 'Aa'),
        maxMessages: 32,
        invisibleMs: INVISIBLE_MS,
        pollMs: 0,
        start: 'min',
      });
      // "Aa" and "BB" have one hash: the broker gives both.
      assert.deepEqual(
        [collided.messages.length + collided.filteredOut.length > 0, collided.undecodable],
        [true, []],
      );
      const empty = await topicOf('pop-woken', []);
      const before = Date.now();
      assert.deepEqual((await pop('pop-woken-workers', empty, 1_000)).messages, []);
      assert.ok(Date.now() - before >= 900);
      const held = pop('pop-woken-workers', empty, 20_000);
      await sleep(300);
      await client.send({ topic: empty, body: Buffer.from('wakes') });
      assert.deepEqual(bodies((await held).messages), ['wakes']);
    });

    test('a notification tells that there is something to pop, without popping it', async () => {
      const topic = await topicOf('pop-notify', []);
      const ask = (pollMs: number) =>
        client.hasMessages({ consumerGroup: 'pop-notify-workers', topic, brokerName, pollMs });
      await pop('pop-notify-workers', topic, 0);
      assert.equal(await ask(0), false);
      const held = ask(20_000);
      await sleep(300);
      await client.send({ topic, body: Buffer.from('x') });
      assert.equal(await held, true);
      assert.equal(await ask(0), true);
      const [only] = await popAll('pop-notify-workers', topic, 1);
      assert.ok(only);
      assert.equal(await ask(0), false, 'invisible now');
      const giveUpAt = Date.now() + REVIVAL_MS;
      while (!(await ask(1_000))) assert.ok(Date.now() < giveUpAt, 'visible again');
    });
  });
else
  describe(`popping from RocketMQ ${TESTED_VERSION}`, { skip: missingStack('rocketmq') }, () => {
    test('is refused with an error that says what is needed', async () => {
      const rocketmq = await startRealRocketMQ();
      const client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
      const subscription = buildSubscription('orders', '*');
      const lent = { maxMessages: 1, invisibleMs: INVISIBLE_MS, pollMs: 0, start: 'min' } as const;
      try {
        await client.createTopic('orders');
        await assert.rejects(
          () =>
            client.pop({
              consumerGroup: 'workers',
              topic: 'orders',
              brokerName,
              subscription,
              ...lent,
            }),
          (error: unknown) =>
            error instanceof UnsupportedRequestError && error.code === 'ROCKETMQ_UNSUPPORTED',
        );
      } finally {
        await client.close();
        await rocketmq.stop();
      }
    });
  });
