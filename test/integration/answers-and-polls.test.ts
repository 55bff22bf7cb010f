import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { createPullerWorld, GROUP, type PullerWorld, recorder } from '../support/puller-world.ts';

describe('options that change how answers and polls are taken', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  test('functionResponseType: None: only an error fails, whatever is answered', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(3);
    const seen = recorder(({ Records }) => {
      if (Records[0]?.body === '1') throw new Error('no');
      return { batchItemFailures: Records.map(({ messageId }) => ({ itemIdentifier: messageId })), senseless: true };
    });
    const puller = world.start(seen.handler, { subscriptions: [{ functionResponseType: 'None', batchSize: 1, maximumRetryAttempts: 0 }] });
    while (world.committed() !== 3n) await sleep(10);
    await puller.stop();
    assert.deepEqual(seen.bodies, ['0', '1', '2']);
    assert.deepEqual(
      world.broker.messages(dlqTopic(GROUP)).map(({ body }) => String(body)),
      ['1'],
    );
  });

  test('longPolling is what brokers are asked to hold a poll for, within the invocation', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    const asked: string[] = [];
    world.broker.control('PULL_MESSAGE', ({ command }) => void asked.push(command.extFields.suspendTimeoutMillis ?? ''), {
      times: Infinity,
    });
    const puller = world.start(recorder().handler, { subscriptions: [{ longPolling: 4 }] });
    while (asked.length === 0) await sleep(10);
    await puller.stop();
    assert.equal(asked[0], '4000');
  });
});
