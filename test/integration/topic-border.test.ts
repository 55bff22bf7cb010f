import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { redriveDeadLetters } from '../../src/dlq/redrive.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { createPullerWorld, GROUP, type PullerWorld, RETRY } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** What a producer may write to the retry topic, or a Java member of the group sends back from `orders`. */
const hostile = (RETRY_TOPIC: string, properties: Record<string, string> = {}) => ({
  topic: RETRY.topic,
  body: Buffer.from('hostile'),
  properties: { RETRY_TOPIC, ...properties },
});

describe('a topic is a border', () => {
  let world: PullerWorld;
  afterEach(() => world?.stop());

  const letters = () => world.broker.messages(dlqTopic(GROUP));

  for (const [name, filter, sent] of [
    [
      'the tag filter of the topic that a redelivery names holds again',
      { type: 'TAG', expression: 'paid || late' },
      [{}, { TAGS: 'open' }, { TAGS: 'paid', KEYS: 'wanted' }],
    ],
    [
      'so does its SQL92 filter, as a broker evaluates it',
      { type: 'SQL92', expression: "TAGS = 'paid' AND amount > 10" },
      [
        { TAGS: 'paid' },
        { TAGS: 'paid', amount: 'many' },
        { TAGS: 'paid', amount: '9' },
        { TAGS: 'paid', amount: '11', KEYS: 'wanted' },
      ],
    ],
  ] as const)
    test(name, async () => {
      world = await createPullerWorld();
      await world.prepare(1);
      const seen: string[] = [];
      for (const properties of sent)
        await world.client.send(hostile('orders', properties as Record<string, string>));
      world.start(
        async ({ Records }) =>
          void seen.push(...Records.map(({ rocketmq }) => rocketmq.keys.join())),
        { queues: [RETRY], subscriptions: [{ filter }] as never },
      );
      await until(
        () => letters().length === sent.length - 1 && seen.length === 1,
        'each has its end',
      );
      assert.deepEqual(seen, ['wanted']);
    });

  test('a redrive passes over what names a topic that is not of the group', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    world.broker.createTopic('crown-jewels', { queues: 1 });
    await world.client.send(hostile('crown-jewels'));
    world.start(async () => undefined, { queues: [RETRY] });
    await until(() => letters().length === 1, 'it is dead');
    const { redriven, skipped } = await redriveDeadLetters(world.client, GROUP, {
      topics: ['orders'],
    });
    assert.equal(redriven, 0);
    assert.match(skipped[0]?.reason ?? '', /crown-jewels/);
    assert.equal(world.broker.messages('crown-jewels').length, 0);
    const named = { topics: ['orders'], to: { topic: 'crown-jewels' }, offset: 0n };
    assert.equal((await redriveDeadLetters(world.client, GROUP, named)).redriven, 1);
  });

  test('the log has the beginning of a handler’s error text', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(1);
    world.start(async () => Promise.reject(new Error(`no order: ${'x'.repeat(100_000)}`)), {
      queues: [...(await world.prepare(1))],
    });
    const failed = () => world.logs.filter(({ code }) => code === 'ROCKETMQ_HANDLER_FAILED');
    await until(() => failed().length > 0, 'it failed');
    for (const line of world.logs) assert.ok(JSON.stringify(line).length < 2_000);
  });
});
