import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { localOperator } from '../../infra/commands/local-operator.ts';
import { runCommand } from '../../infra/commands/run-command.ts';
import { traceCommand } from '../../infra/commands/trace.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { TraceAnswer } from '../../src/operator/trace.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { mqadmin } from '../support/java.ts';
import {
  type Answering,
  at,
  createPullerWorld,
  GROUP,
  type PullerWorld,
  recorder,
  TOPIC,
} from '../support/puller-world.ts';
import { QUICK_REDELIVERY, type RealWorld, startRealWorld } from '../support/real-world.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const TRACES = 'traces';
/** What brokers write on messages that are not sent in batches. */
const REGION = { MSG_REGION: 'DefaultRegion' };

describe('message trace', () => {
  let world: PullerWorld;
  beforeEach(async () => {
    world = await createPullerWorld();
    await world.prepare();
  });
  afterEach(() => world.stop());

  const start = (
    handler: Answering,
    topic = TRACES,
    settings: Parameters<PullerWorld['start']>[1] = {},
  ) =>
    world.start(handler, {
      ...settings,
      deps: {
        ...settings.deps,
        service: {
          service: 'shop',
          stage: 'dev',
          clusters: { default: { nameServers: world.broker.nameServers } },
          sources: [source([subscription(TOPIC)], { consumerGroup: GROUP, trace: { topic } })],
        },
      },
    });
  const traced = () => world.broker.messages(TRACES);
  const lines = () =>
    traced()
      .flatMap(({ body }) => String(body).split('\u0002'))
      .filter((record) => record !== '')
      .map((record) => record.split('\u0001'));

  test('a record before and after each message, with its own result, before the puller returns', async () => {
    world.broker.createTopic(TRACES, { queues: 1 });
    await world.client.send(
      { topic: TOPIC, body: Buffer.from('good'), keys: ['a', 'b'], properties: REGION },
      { queue: at(0) },
    );
    await world.client.send(
      { topic: TOPIC, body: Buffer.from('bad'), properties: REGION },
      { queue: at(0) },
    );
    // Brokers say themselves of single messages whether they are traced; batches keep what their sender says.
    await world.client.sendBatch(
      [{ topic: TOPIC, body: Buffer.from('silent'), properties: { ...REGION, TRACE_ON: 'false' } }],
      {
        queue: at(0),
      },
    );
    const seen = recorder(({ Records }: RocketMQEvent) => ({
      batchItemFailures: Records.filter(({ body }) => body === 'bad').map(({ messageId }) => ({
        itemIdentifier: messageId,
      })),
    }));
    const puller = start(seen.handler);
    await until(() => seen.records.length === 3, 'all three were delivered');
    await puller.stop();
    const ids = Object.fromEntries(seen.records.map(({ body, messageId }) => [body, messageId]));
    const before = lines().filter(([type]) => type === 'SubBefore');
    const ended = lines().filter(([type]) => type === 'SubAfter');
    assert.equal(
      seen.records.find(({ body }) => body === 'silent')?.rocketmq.properties.TRACE_ON,
      'false',
    );
    assert.deepEqual([before.length, ended.length], [2, 2], 'one of them is not to be traced');
    assert.deepEqual(
      before.map(([, , region, group, , id, times, keys]) => [region, group, id, times, keys]),
      [
        ['DefaultRegion', GROUP, ids.good, '0', 'a b'],
        ['DefaultRegion', GROUP, ids.bad, '0', 'null'],
      ],
    );
    assert.deepEqual(
      ended.map(([, , id, , success, keys, code, , group]) => [id, success, keys, code, group]),
      [
        [ids.good, 'true', 'a b', '0', GROUP],
        [ids.bad, 'false', 'null', '4', GROUP],
      ],
    );
    assert.equal(
      new Set([...before.map((record) => record[4]), ...ended.map((record) => record[1])]).size,
      new Set(ended.map((record) => record[1])).size,
    );
    const keys = traced().flatMap(({ properties }) => properties.get('KEYS')?.split(' ') ?? []);
    for (const key of [ids.good, ids.bad, 'a', 'b']) assert.ok(keys.includes(key ?? ''), key);
  });

  test('a handler that fails is an exception', async () => {
    world.broker.createTopic(TRACES, { queues: 1 });
    await world.client.send(
      { topic: TOPIC, body: Buffer.from('1'), properties: REGION },
      { queue: at(0) },
    );
    let calls = 0;
    const puller = start(() => {
      calls++;
      throw new Error('no');
    });
    await until(() => calls === 1, 'it was called');
    await until(() => world.committed() === 1n, 'it was sent back');
    await puller.stop();
    assert.deepEqual(
      lines().map(([type, , , , success, , code]) =>
        type === 'SubAfter' ? [success, code] : type,
      ),
      ['SubBefore', ['false', '2']],
    );
  });

  test('without a trace topic everything is delivered; it says so once', async () => {
    await world.produce(50, 0, () => ({ properties: REGION }));
    const seen = recorder();
    const puller = start(seen.handler, 'no-such-topic');
    await until(() => seen.records.length === 50, 'all were delivered');
    const report = await puller.stop();
    assert.deepEqual([report.queues[0]?.handled, world.committed()], [50, 50n]);
    assert.equal(world.logs.filter(({ code }) => code === 'ROCKETMQ_TRACE_TOPIC').length, 1);
    assert.equal(world.logs.filter(({ code }) => code === 'ROCKETMQ_TRACE_LOST').length, 1);
  });

  test('a trace topic that never answers holds nothing up for long', async () => {
    world.broker.createTopic(TRACES, { queues: 1 });
    await world.produce(50, 0, () => ({ properties: REGION }));
    using _ = world.broker.control(
      'SEND_MESSAGE_V2',
      ({ command }) => (command.extFields.b === TRACES ? 'drop' : undefined),
      {
        times: Number.POSITIVE_INFINITY,
      },
    );
    const seen = recorder();
    const puller = start(seen.handler);
    await until(() => seen.records.length === 50, 'all were delivered');
    const askedAt = Date.now();
    const report = await puller.stop();
    assert.ok(Date.now() - askedAt < 4_000, `${Date.now() - askedAt} ms`);
    assert.deepEqual([report.queues[0]?.handled, world.committed()], [50, 50n]);
  });

  test('two thousand messages go into trace messages of at most 128,000 bytes, with keys that brokers take', async () => {
    world.broker.createTopic(TRACES, { queues: 1 });
    await world.produce(2_000, 0, (index) => ({
      properties: { ...REGION, own: String(index) },
      keys: [`order-${index}`],
    }));
    const seen = recorder();
    const puller = start(seen.handler);
    await until(() => seen.records.length === 2_000, 'all were delivered', 20_000);
    await puller.stop();
    assert.equal(lines().filter(([type]) => type === 'SubAfter').length, 2_000);
    for (const { body } of traced()) assert.ok(body.length <= 128_000, `${body.length} bytes`);
  });
});

describe('message trace on a real broker', { skip: missingStack('rocketmq') }, () => {
  let world: RealWorld;
  let { rocketmq, client, dynamodb } = {} as RealWorld;
  before(async () => {
    const messageDelayLevel = QUICK_REDELIVERY;
    world = await startRealWorld({ messageDelayLevel, brokerConf: { traceTopicEnable: 'true' } });
    ({ rocketmq, client, dynamodb } = world);
  });
  after(() => world?.stop());

  test('mqadmin queryMsgTraceById shows a failure and the redelivery that succeeded', async () => {
    await client.createTopic(TOPIC, { readQueueNums: 1, writeQueueNums: 1 });
    const { msgId } = await client.send({
      topic: TOPIC,
      body: Buffer.from('1'),
      keys: ['order-17'],
    });
    let done = false;
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source([subscription(TOPIC)], {
        consumerGroup: GROUP,
        trace: { topic: 'RMQ_SYS_TRACE_TOPIC' },
      }),
      handler: ({ Records: [record] }) => {
        done = record?.rocketmq.reconsumeTimes === 1;
        if (!done) throw new Error('not yet');
      },
    });
    await until(() => done, 'it was delivered twice', 30_000);
    await service.end();
    let shown: string[][] = [];
    // Brokers index keys in the background.
    await until(
      async () => {
        const output = await mqadmin(rocketmq.nameServer, ['queryMsgTraceById', '-i', msgId]);
        shown = output
          .split('\n')
          .filter((line) => line.startsWith('Sub '))
          .map((line) => line.trim().split(/\s+/));
        return shown.length === 2;
      },
      'mqadmin finds both',
      30_000,
    );
    assert.deepEqual(shown.map((columns) => [columns[1], columns.at(-1)]).sort(), [
      [GROUP, 'failed'],
      [GROUP, 'success'],
    ]);

    // The operator's command finds the same, and what Java's table leaves out.
    const lines: string[] = [];
    const operator = await localOperator(
      {
        ...{
          service: 'shop',
          stage: 'dev',
          clusters: { default: { nameServers: [rocketmq.nameServer] } },
        },
        sources: [source([subscription(TOPIC)], { consumerGroup: GROUP })],
      },
      {},
      undefined,
      undefined,
    );
    const code = await runCommand(traceCommand, { id: msgId, json: true }, async () => operator, {
      out: { write: (text: string) => lines.push(text) },
      err: { write: () => assert.fail('nothing is to be said') },
      ...{
        ask: undefined,
        signal: new AbortController().signal,
        now: Date.now,
        sleep: async () => {},
      },
    });
    assert.equal(code, 0, lines.join(''));
    const { entries } = JSON.parse(lines.join('')) as TraceAnswer;
    assert.deepEqual(
      entries.map((entry) => [
        entry.kind,
        entry.group,
        entry.kind === 'delivered'
          ? entry.reconsumeTimes
          : entry.kind === 'handled' && entry.result,
      ]),
      [
        ['delivered', GROUP, 0],
        ['handled', GROUP, 'EXCEPTION'],
        ['delivered', GROUP, 1],
        ['handled', GROUP, 'SUCCESS'],
      ],
    );
    const calls = entries.flatMap((entry) => ('requestId' in entry ? entry.requestId : []));
    assert.deepEqual(
      [calls[0] === calls[1], calls[2] === calls[3], calls[0] === calls[2]],
      [true, true, false],
    );
  });
});
