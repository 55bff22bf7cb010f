import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OPERATOR_COMMANDS, requestName } from '../../src/model/operator-commands.ts';
import type { OperatorDeps } from '../../src/operator/operator-deps.ts';
import { requestForLog } from '../../src/operator/request-log.ts';
import { OPERATIONS, runOperator } from '../../src/operator/run-operator.ts';
import { createOperatorWorld, type OperatorWorld } from '../support/operator-world.ts';

const FOREIGN = 'other-service-secrets';
const MARK = 'IBAN-DE02-marked';

describe('what the caller of the operator may do', () => {
  let world: OperatorWorld;
  before(async () => {
    world = await createOperatorWorld();
    world.broker.createTopic(FOREIGN, { queues: 1 });
    world.broker.createTopic('%RETRY%others', { queues: 1 });
    await world.produce(5);
  });
  after(() => world?.stop());

  const ask = async (command: string, args: unknown = {}, more: Partial<OperatorDeps> = {}) => {
    const answer = await runOperator({ ...world.deps, ...more }, { version: 1, command, args });
    return answer.ok ? 'OK' : `${answer.error.code} ${answer.error.message}`;
  };
  const withRules = (operator: object): Partial<OperatorDeps> => ({
    service: { ...world.deps.service, operator },
  });

  test('every operation is a command that can be allowed', () => {
    assert.deepEqual(OPERATOR_COMMANDS.map(requestName).sort(), Object.keys(OPERATIONS).sort());
  });

  test('a command that is not allowed is refused by name', async () => {
    const commands = ['status', 'dlq list'] as const;
    for (const command of Object.keys(OPERATIONS)) {
      const answer = await ask(command, {}, { commands });
      if (command === 'status' || command === 'dlqList') assert.equal(answer, 'OK');
      else assert.match(answer, new RegExp(`^ROCKETMQ_OPERATOR_REFUSED command ${command} is not`));
    }
    assert.match(await ask('status', {}, { commands: [] }), /REFUSED/);
  });

  test('messages go to topics of the service only, unless they are allowed', async () => {
    const sent = (topic: string, more = {}) => ask('send', { topic, body: 'x' }, more);
    for (const topic of [FOREIGN, '%RETRY%others', `%DLQ%${world.group.consumerGroup}`, 'Orders'])
      assert.match(await sent(topic), /^ROCKETMQ_OPERATOR_REFUSED topic/, topic);
    assert.match(await ask('dlqRedrive', { to: FOREIGN }), /^ROCKETMQ_OPERATOR_REFUSED topic/);
    assert.equal(await sent('orders'), 'OK');
    assert.equal(world.broker.maxOffset({ topic: FOREIGN, queueId: 0 }), 0n);
    assert.equal(await sent(FOREIGN, withRules({ topics: [FOREIGN] })), 'OK');
    assert.match(await sent('%RETRY%others', withRules({ topics: [FOREIGN] })), /REFUSED/);
    assert.equal(await sent(FOREIGN, withRules({ topics: 'any' })), 'OK');
    assert.equal(await ask('dlqRedrive', { to: FOREIGN }, withRules({ topics: 'any' })), 'OK');
  });

  test('targets of a reset are checked and clamped as its other arguments', async () => {
    const reset = (args: object) => ask('reset', args);
    for (const targets of [
      [`${FOREIGN}/broker-a/0=0`],
      ['orders/broker-a/0=0', `${FOREIGN}/broker-a/0=0`],
      ['orders/broker-a/77=0'],
      ['orders/broker-z/0=0'],
    ])
      assert.match(await reset({ targets }), /^ROCKETMQ_OPERATOR_NOT_FOUND/, targets.join());
    for (const args of [
      { targets: ['orders/broker-a/0=0', 'orders/broker-a/0=1'] },
      { targets: ['orders/broker-a/0=-1'] },
      { targets: ['orders/broker-a/0=1e3'] },
      { targets: ['orders/broker-a/0'] },
      { targets: [] },
      { targets: ['orders/broker-a/0=0'], to: 'first' },
      { targets: ['orders/broker-a/0=0'], topic: 'orders' },
      { to: 'time:9999999999999999999' },
      { to: 'group:a b' },
    ])
      assert.match(await reset(args), /^ROCKETMQ_OPERATOR_USAGE/, JSON.stringify(args));
    assert.match(await reset({ queue: 'orders/broker-a/77', to: 'first' }), /NOT_FOUND/);

    const targets = ['orders/broker-a/0=9223372036854775807'];
    const preview = await world.operate('reset', { targets, 'dry-run': true });
    assert.deepEqual([preview.applied, preview.queues[0]?.clamped], [false, true]);
    const { queues } = await world.operate('reset', { targets });
    assert.equal(queues[0]?.stored, String(await world.client.maxOffset(world.queue(0))));
    assert.equal(queues[0]?.clamped, true);
  });

  test('words of any length cost nothing, and come back as their beginning', async () => {
    const long = 'x'.repeat(5_000_000);
    const began = performance.now();
    for (const [command, args] of [
      [long, {}],
      ['status', { [long]: 'x' }],
      ['status', { group: long }],
      ['status', { cluster: long }],
      ['status', { group: { long } }],
      ['peek', { queue: 'a/'.repeat(1_000_000) }],
      ['peek', { topic: long }],
      ['peek', { limit: '9'.repeat(5_000_000) }],
      ['peek', { cursor: long }],
      ['reset', { to: long }],
      ['reset', { targets: [long] }],
      ['reset', { targets: Array.from({ length: 100_000 }, () => 'orders/broker-a/0=0') }],
      ['send', { topic: 'orders', body: 'x', property: [long] }],
      ['send', { topic: long, body: 'x' }],
      ['dlqPeek', { id: [long] }],
      ['dlqRedrive', { to: long }],
    ] as const) {
      const answer = await ask(command, args);
      assert.match(answer, /^ROCKETMQ_OPERATOR_/);
      assert.ok(answer.length < 600, `${answer.slice(0, 200)} has ${answer.length} characters`);
    }
    // All 16 together. One comparison with a word of 5 MB takes seconds.
    assert.ok(performance.now() - began < 5_000);
  });
});

test('the log of a request has its scope and lengths, never contents', () => {
  const request = {
    version: 1,
    command: 'send',
    by: 'alice@laptop',
    args: {
      ...{ cluster: 'default', topic: 'orders', count: 3, 'dry-run': true },
      ...{ body: MARK, 'body-base64': MARK, property: [`a=${MARK}`], key: [MARK], tag: MARK },
      ...{ 'sharding-key': MARK, reason: MARK, cursor: MARK, [MARK]: 1, other: MARK },
    },
  };
  const logged = requestForLog(request);
  assert.ok(!JSON.stringify(logged).includes(MARK), JSON.stringify(logged));
  assert.deepEqual(logged, {
    command: 'send',
    by: 'alice@laptop',
    args: {
      ...{ cluster: 'default', topic: 'orders', count: 3, 'dry-run': true },
      ...{ bodyLength: 16, 'body-base64Length': 16, propertyLength: [18], keyLength: [16] },
      ...{ tagLength: 16, 'sharding-keyLength': 16, reasonLength: 16, cursorLength: 16 },
      unknown: 2,
    },
  });
  assert.ok(
    JSON.stringify(requestForLog({ command: 'x'.repeat(1e6), args: { id: ['y'.repeat(1e6)] } }))
      .length < 500,
  );
  for (const strange of [
    undefined,
    null,
    'text',
    [],
    { args: 'x' },
    { args: { topic: { a: MARK } } },
  ])
    assert.ok(!JSON.stringify(requestForLog(strange)).includes(MARK));
});
