import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { RocketMQKafkaEvent } from '../../src/model/event-formats.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { BatchPayload, MessageHandler } from '../../src/ports/invoke.ts';
import {
  createPullerWorld,
  GROUP,
  type PullerWorld,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { until } from '../support/until.ts';

describe('options that change how answers and polls are taken', () => {
  let world: PullerWorld;
  afterEach(() => world.stop());

  test('functionResponseType: None: only an error fails, whatever is answered', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(3);
    const seen = recorder(({ Records }) => {
      if (Records[0]?.body === '1') throw new Error('no');
      return {
        batchItemFailures: Records.map(({ messageId }) => ({ itemIdentifier: messageId })),
        senseless: true,
      };
    });
    const puller = world.start(seen.handler, {
      subscriptions: [{ functionResponseType: 'None', batchSize: 1, maximumRetryAttempts: 0 }],
    });
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
    world.broker.control(
      'PULL_MESSAGE',
      ({ command }) => void asked.push(command.extFields.suspendTimeoutMillis ?? ''),
      {
        times: Infinity,
      },
    );
    const puller = world.start(recorder().handler, { subscriptions: [{ longPolling: 4 }] });
    while (asked.length === 0) await sleep(10);
    await puller.stop();
    assert.equal(asked[0], '4000');
  });

  test('pullBatchSize is what brokers are asked for at most', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    const asked: string[] = [];
    world.broker.control(
      'PULL_MESSAGE',
      ({ command }) => void asked.push(command.extFields.maxMsgNums ?? ''),
      { times: Infinity },
    );
    const puller = world.start(recorder().handler, { subscriptions: [{ pullBatchSize: 7 }] });
    await until(() => asked.length > 0, 'a pull');
    await puller.stop();
    assert.equal(asked[0], '7');
  });

  test('eventFormat kafka: the handler gets Lambda’s event for Kafka, and may answer with its identifiers', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(3);
    const seen: RocketMQKafkaEvent[] = [];
    const handler = (event: unknown) => {
      seen.push(event as RocketMQKafkaEvent);
      return {
        batchItemFailures: [
          { itemIdentifier: { 'topic-partition': `${TOPIC}-broker-a-0`, offset: 1 } },
        ],
      };
    };
    const puller = world.start(handler, {
      subscriptions: [{ eventFormat: 'kafka', maximumRetryAttempts: 0 }],
    });
    await until(() => world.committed() === 3n, 'all is committed');
    await puller.stop();
    const records = seen.flatMap((event) => Object.values(event.records).flat());
    assert.deepEqual(
      records.map(({ offset, value }) => [offset, Buffer.from(value, 'base64').toString()]),
      [
        [0, '0'],
        [1, '1'],
        [2, '2'],
      ],
    );
    assert.deepEqual(
      world.broker.messages(dlqTopic(GROUP)).map(({ body }) => String(body)),
      ['1'],
    );
  });

  test('a batch that failed whole is halved in the format of its event', async () => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(4);
    const seen: string[][] = [];
    const handler = (event: unknown) => {
      const bodies = (event as { data: { body: string } }[]).map(({ data }) => data.body);
      seen.push(bodies);
      if (bodies.includes('2')) throw new Error('no');
    };
    const puller = world.start(handler, {
      subscriptions: [{ eventFormat: 'cloudevents', maximumRetryAttempts: 0 }],
    });
    await until(() => world.committed() === 4n, 'all is committed');
    await puller.stop();
    assert.deepEqual(seen, [['0', '1', '2', '3'], ['0', '1'], ['2', '3'], ['2'], ['3']]);
  });

  for (const [tracing, root] of [
    ['off', undefined],
    ['link', undefined],
    ['parent', 'Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331'],
  ] as const)
    test(`tracing ${tracing}: the record ${tracing === 'off' ? 'is without the trace' : 'has the trace'}, the invocation ${root === undefined ? 'has its own' : 'goes on with it'}`, async () => {
      world = await createPullerWorld();
      await world.prepare(1);
      await world.produce(2, 0, () => ({
        properties: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
      }));
      const payloads: BatchPayload[] = [];
      const handler: MessageHandler = {
        invoke: async (payload) => {
          payloads.push(payload);
          return { kind: 'answered', answer: undefined };
        },
      };
      const puller = world.start(handler, { subscriptions: [{ tracing }] });
      await until(() => world.committed() === 2n, 'all is committed');
      await puller.stop();
      for (const payload of payloads) {
        assert.equal(payload.traceHeader, root);
        for (const { attributes } of (payload.event() as RocketMQEvent).Records)
          assert.equal(attributes.AWSTraceHeader !== undefined, tracing !== 'off');
      }
    });
});
