import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { peekDeadLetters, redriveDeadLetters } from '../../src/consumer/index.ts';
import { AmbiguousDeadLetterError, RedriveStoppedError, RocketMQError } from '../../src/errors.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { createOperatorWorld, type OperatorWorld } from '../support/operator-world.ts';
import { overriddenClient } from '../support/overridden-client.ts';

/** A producer guesses the ids of the letters that an operator is about to redrive. */
describe('dead letters whose ids a producer chose', () => {
  let world: OperatorWorld;
  let dlq: string;
  beforeEach(async () => {
    world = await createOperatorWorld();
    dlq = dlqTopic(world.group.consumerGroup);
  });
  afterEach(() => world.stop());

  /** A message of `orders` that its group gave up. */
  const deadLetter = (body: string, properties: Record<string, string>, originTopic?: string) =>
    world.bury(body, { properties }, originTopic);
  const sent = (topic = 'orders') => world.broker.messages(topic).map(({ body }) => String(body));
  /** What a redrive added. */
  const redriven = (): string[] => sent().slice(world.broker.messages(dlq).length);

  /** By the operator, and by the library. */
  const redrives: Record<string, (id: string[], more?: object) => Promise<number>> = {
    operator: async (id, more = {}) => (await world.operate('dlqRedrive', { id, ...more })).done,
    library: async (ids) => {
      const { consumerGroup } = world.group;
      const topics = ['orders'];
      return (await redriveDeadLetters(world.client, consumerGroup, { ids, topics })).redriven;
    },
  };

  for (const [name, redrive] of Object.entries(redrives)) {
    test(`${name}: an id of several letters sends none, and lists their places`, async () => {
      await deadLetter('real', { UNIQ_KEY: 'order-17' });
      await deadLetter('other', { UNIQ_KEY: 'order-18' });
      await deadLetter('guessed', { UNIQ_KEY: 'order-17' });
      await assert.rejects(redrive(['order-18', 'order-17']), (error) => {
        assert.ok(error instanceof AmbiguousDeadLetterError);
        assert.deepEqual(error.places, ['broker-a/0/0', 'broker-a/0/2']);
        assert.match(error.message, /"order-17".*broker-a\/0\/0, broker-a\/0\/2/);
        return true;
      });
      assert.deepEqual(redriven(), []);
      assert.equal(await redrive(['broker-a/0/0']), 1);
      assert.equal(await redrive(['order-18', `${dlq}/broker-a/0/2`]), 2);
      assert.deepEqual(redriven().sort(), ['guessed', 'other', 'real']);
      assert.equal(await redrive(['order-19']), 0);
      assert.equal(await redrive(['broker-a/0/9', 'broker-b/0/0', '%DLQ%other/broker-a/0/0']), 0);
    });

    test(`${name}: an id in the form of a place, or of a letter’s offsetMsgId, names no other letter`, async () => {
      await deadLetter('real', { UNIQ_KEY: 'order-17' });
      const { consumerGroup } = world.group;
      const { value } = await peekDeadLetters(world.client, consumerGroup).next();
      const offsetMsgId = value?.message?.offsetMsgId ?? '';
      await deadLetter('as a place', { UNIQ_KEY: 'broker-a/0/0' });
      await deadLetter('as an offsetMsgId', { UNIQ_KEY: offsetMsgId });
      await assert.rejects(redrive([offsetMsgId]), AmbiguousDeadLetterError);
      assert.equal(await redrive(['broker-a/0/0']), 1);
      assert.deepEqual(redriven(), ['real']);
      assert.equal(await redrive(['broker-a/0/1']), 1);
      assert.deepEqual(redriven().sort(), ['as a place', 'real']);
    });

    test(`${name}: a flood of letters with one id is refused with the first of them`, async () => {
      for (let n = 0; n < 12; n++) await deadLetter(String(n), { UNIQ_KEY: 'order-17' });
      await assert.rejects(redrive(['order-17']), /broker-a\/0\/9 and more/);
      assert.deepEqual(redriven(), []);
    });
  }

  for (const [name, redrive] of Object.entries(redrives))
    test(`${name}: a place names its queue, too`, async () => {
      const { broker, client } = world;
      broker.createTopic(dlq, { queues: 2 });
      for (const queueId of [0, 1]) {
        const letter = { topic: dlq, body: String(queueId), properties: { RETRY_TOPIC: 'orders' } };
        await client.send(letter, { queue: { topic: dlq, brokerName: 'broker-a', queueId } });
      }
      assert.equal(await redrive(['broker-a/1/0']), 1);
      assert.deepEqual(sent(), ['1']);
    });

  test('operator: other choices may leave one letter of an id, which is sent', async () => {
    await deadLetter('real', { UNIQ_KEY: 'order-17', TAGS: 'paid' });
    await deadLetter('guessed', { UNIQ_KEY: 'order-17', TAGS: 'open' });
    assert.equal((await world.operate('dlqPeek', { id: ['order-17'] })).done, 2);
    assert.equal((await world.operate('dlqPeek', { id: ['broker-a/0/1'] })).done, 1);
    const request = { id: ['order-17'], tag: 'paid' };
    assert.equal((await world.operate('dlqRedrive', { ...request, 'dry-run': true })).done, 1);
    assert.equal((await world.operate('dlqRedrive', request)).done, 1);
    assert.deepEqual(redriven(), ['real']);
    await assert.rejects(
      world.operate('dlqRedrive', { id: ['order-17'], 'dry-run': true }),
      AmbiguousDeadLetterError,
    );
  });

  test('operator: an id that could not be looked for to the end is refused', async () => {
    await deadLetter('real', { UNIQ_KEY: 'order-17' });
    const late = { remainingMs: () => 9_000 };
    await assert.rejects(world.operate('dlqRedrive', { id: ['order-17'] }, late), /dlq peek --id/);
    assert.deepEqual(redriven(), []);
  });

  test('library: without topics, a letter goes to a topic that the group consumes, and to no other', async () => {
    const { client, broker, group } = world;
    broker.createTopic('crown-jewels', { queues: 1 });
    await deadLetter('real', { UNIQ_KEY: 'order-17' });
    await deadLetter('hostile', { UNIQ_KEY: 'order-18', RETRY_TOPIC: 'crown-jewels' });
    const run = () => redriveDeadLetters(client, group.consumerGroup, { offset: 0n });
    assert.equal((await run()).redriven, 0, 'the group has no offset anywhere');
    await client.commitOffset(group.consumerGroup, world.queue(1), 0n);
    const report = await run();
    assert.deepEqual([report.redriven, redriven()], [1, ['real']]);
    assert.match(report.skipped[0]?.reason ?? '', /crown-jewels/);
    assert.deepEqual(sent('crown-jewels'), []);
    const topics = ['orders', 'crown-jewels'];
    await redriveDeadLetters(client, group.consumerGroup, { ids: ['order-18'], topics });
    assert.deepEqual(sent('crown-jewels'), ['hostile']);
  });

  test('library: a letter whose topic cannot be asked about is reported with its place, and others go on', async () => {
    const { client, group } = world;
    await client.commitOffset(group.consumerGroup, world.queue(1), 0n);
    await deadLetter('hostile', { UNIQ_KEY: 'order-19', RETRY_TOPIC: 'locked' });
    await deadLetter('real', { UNIQ_KEY: 'order-20' });
    const refusing = overriddenClient(client, {
      async topicRoute(topic, options) {
        if (topic === 'locked') throw new RocketMQError('ROCKETMQ_TEST', 'no right to "locked"');
        return client.topicRoute(topic, options);
      },
    });
    const run = (onFailure: 'stop' | 'skip') =>
      redriveDeadLetters(refusing, group.consumerGroup, { offset: 0n, onFailure });
    await assert.rejects(run('stop'), (error: unknown) => error instanceof RedriveStoppedError);
    const report = await run('skip');
    assert.ok(redriven().includes('real'));
    assert.ok(report.skipped.some(({ reason }) => reason.includes('no right to "locked"')));
  });
});
