import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isLive } from '../../src/decide/lease/lease.ts';
import { peekDeadLetters } from '../../src/dlq/dead-letters.ts';
import { OperatorError } from '../../src/operator/operator-error.ts';
import { createOperatorWorld, type OperatorWorld } from '../support/operator-world.ts';
import { until } from '../support/until.ts';

const refusal = (code: string, text: RegExp) => (error: unknown) =>
  error instanceof OperatorError &&
  error.code === `ROCKETMQ_OPERATOR_${code}` &&
  text.test(error.message);

describe('reset, skip, peek and get', () => {
  let world: OperatorWorld;
  let betweenThem = 0;
  const q0 = 'orders/broker-a/0';
  before(async () => {
    world = await createOperatorWorld();
    await world.produce(5, 0, 'paid');
    await until(() => Date.now() > betweenThem, 'time goes on');
    betweenThem = Date.now() + 2;
    await until(() => Date.now() > betweenThem, 'time goes on');
    await world.produce(5, 0, 'open');
    await world.produce(2, 1);
  });
  after(() => world?.stop());
  const stored = (queueId: number) =>
    world.broker.offset(world.group.consumerGroup, { topic: 'orders', queueId });
  const resetTo = async (to: string, more: object = {}) => {
    const answer = await world.operate('reset', { to, ...more });
    return answer.queues.map(({ from, to: offset, redelivered, skipped, stored: now, clamped }) => [
      from,
      offset,
      redelivered,
      skipped,
      now,
      clamped,
    ]);
  };

  test('a preview changes nothing; what it says is what is done, with a receipt that was read back', async () => {
    assert.deepEqual(await resetTo('last', { 'dry-run': true }), [
      [undefined, '10', '0', '10', undefined, false],
      [undefined, '2', '0', '2', undefined, false],
    ]);
    assert.deepEqual([stored(0), stored(1)], [undefined, undefined]);
    assert.deepEqual(await resetTo('last'), [
      [undefined, '10', '0', '10', '10', false],
      [undefined, '2', '0', '2', '2', false],
    ]);
    assert.deepEqual([stored(0), stored(1)], [10n, 2n]);
  });

  test('to a time, an offset, an end, and what another group has', async () => {
    assert.deepEqual((await resetTo(`time:${betweenThem}`))[0], ['10', '5', '5', '0', '5', false]);
    assert.deepEqual(await resetTo('offset:7', { queue: q0 }), [['5', '7', '0', '2', '7', false]]);
    assert.deepEqual(await resetTo('offset:99', { queue: q0 }), [
      ['7', '10', '0', '3', '10', true],
    ]);
    assert.deepEqual(await resetTo('first', { queue: q0 }), [['10', '0', '10', '0', '0', false]]);
    await world.client.createGroup('another');
    await world.client.commitOffset('another', world.queue(0), 4n);
    assert.deepEqual(await resetTo('group:another', { queue: q0 }), [
      ['0', '4', '0', '4', '4', false],
    ]);
    await assert.rejects(
      resetTo('group:another', { queue: 'orders/broker-a/1' }),
      refusal('NOT_FOUND', /"another" has no offset on/),
    );
  });

  test('what is no target is refused', async () => {
    for (const to of ['4711', 'yesterday', 'offset:-1', 'group:', 'offset:x'])
      await assert.rejects(
        resetTo(to),
        refusal('USAGE', /first, last, offset:N, a time, or group:NAME/),
        to,
      );
    await assert.rejects(world.operate('reset'), refusal('USAGE', /--to is missing/));
    await assert.rejects(
      world.operate('reset', { targets: ['nonsense'] }),
      refusal('USAGE', /TOPIC\/BROKER\/ID=OFFSET/),
    );
    const pop = { ...world.deps.service, sources: [{ ...world.config, mode: 'pop' as const }] };
    await assert.rejects(
      world.operate('reset', { to: 'first' }, { service: pop }),
      refusal('REFUSED', /mode pop/),
    );
  });

  test('a message is looked at by place, id, key, tag and time, and nothing moves', async () => {
    const before = stored(0);
    const offsets = async (args: object) =>
      (await world.operate('peek', { topic: 'orders', ...args })).messages.map(
        ({ queue, offset }) => `${queue.at(-1)}:${offset}`,
      );
    assert.deepEqual(await offsets({ queue: q0, limit: 2 }), ['0:4', '0:5']);
    assert.deepEqual(await offsets({ queue: q0, offset: '8' }), ['0:8', '0:9']);
    assert.deepEqual(await offsets({ key: 'key-1' }), ['0:1', '0:6', '1:1']);
    assert.deepEqual(await offsets({ tag: 'open', limit: 2 }), ['0:5', '0:6']);
    assert.deepEqual(
      (await offsets({ since: betweenThem })).filter((one) => one.startsWith('0')),
      ['0:5', '0:6', '0:7', '0:8', '0:9'],
    );
    assert.deepEqual(await offsets({ since: 0, until: betweenThem, queue: q0 }), [
      '0:0',
      '0:1',
      '0:2',
      '0:3',
      '0:4',
    ]);
    const { messages } = await world.operate('get', { queue: q0, offset: '3' });
    const [message] = messages;
    assert.ok(message !== undefined && 'body' in message);
    assert.deepEqual(
      [message.body, message.tags, message.keys, message.bodyEncoding, message.bodyCut],
      ['{"n":3}', 'paid', 'key-3', 'utf8', false],
    );
    for (const id of [message.messageId, message.offsetMessageId])
      assert.deepEqual(
        (await world.operate('get', { id })).messages.map(({ offset }) => offset),
        ['3'],
      );
    assert.equal(stored(0), before);
  });

  test('patterns are tried on what is stored: those of the event, or others', async () => {
    const patternsOf = async (args: object, deps = {}) =>
      (
        await world.operate('peek', { queue: q0, offset: '3', limit: 3, ...args }, deps)
      ).messages.map((message) => ('pattern' in message ? message.pattern : undefined));
    assert.deepEqual(await patternsOf({}), [undefined, undefined, undefined], 'there are none');
    const tried = JSON.stringify([{ tags: ['open'] }, { body: { n: [{ numeric: ['<', 4] }] } }]);
    assert.deepEqual(await patternsOf({ 'filter-patterns': tried }), [1, 'none', 0]);
    const [subscription] = world.config.subscriptions;
    const filtered = { ...subscription, filterPatterns: [{ tags: ['paid'] }] };
    const source = { ...world.config, subscriptions: [filtered] };
    const service = { ...world.deps.service, sources: [source] } as typeof world.deps.service;
    assert.deepEqual(await patternsOf({}, { service }), [0, 0, 'none']);
    for (const [wrong, text] of [
      ['{"body"', /--filter-patterns is no JSON/],
      ['[{"body":{"n":[{"numeric":[">"]}]}}]', /--filter-patterns\.0\.body\.n\.0: give /],
      ['[]', /--filter-patterns: give a list of 1 to 10 patterns/],
    ] as const)
      await assert.rejects(patternsOf({ 'filter-patterns': wrong }), refusal('USAGE', text));
  });

  test('a search that is cut short says where, and goes on there', async () => {
    const first = await world.operate('peek', { queue: q0, offset: '0', limit: 3 });
    assert.deepEqual([first.messages.length, first.cursor], [3, `${q0}=3`]);
    const second = await world.operate('peek', { queue: q0, cursor: first.cursor, limit: 100 });
    assert.deepEqual(
      second.messages.map(({ offset }) => offset),
      ['3', '4', '5', '6', '7', '8', '9'],
    );
    assert.equal(second.cursor, undefined);
    // No time: nothing is looked through, and that is said.
    const none = await world.operate('peek', { key: 'key-1' }, { remainingMs: () => 9_000 });
    assert.deepEqual([none.messages, none.scanned, typeof none.cursor], [[], 0, 'string']);
    const all = [0, 1].map((queueId) =>
      Number(world.broker.maxOffset({ topic: 'orders', queueId })),
    );
    assert.equal(none.left, (all[0] ?? 0) + (all[1] ?? 0), 'everything is left');
  });

  test('what is not there is told', async () => {
    await assert.rejects(
      world.operate('get', { id: 'NONE' }),
      refusal('NOT_FOUND', /no message of that id .* \(12 were looked through\)/),
    );
    await assert.rejects(
      world.operate('get', { queue: q0, offset: '10' }),
      refusal('NOT_FOUND', /no message at offset 10/),
    );
    await assert.rejects(
      world.operate('get', {}),
      refusal('USAGE', /one of --id, --key, or --queue with --offset/),
    );
    await assert.rejects(
      world.operate('peek', { offset: '1' }),
      refusal('USAGE', /--offset is of one queue/),
    );
  });

  test('one message is skipped where the group stands, and nowhere else; parked it is a dead letter', async () => {
    await world.operate('reset', { to: 'offset:4', queue: q0 });
    await assert.rejects(
      world.operate('skip', { queue: q0, offset: '6' }),
      refusal('REFUSED', /would lose the 2 messages before it/),
    );
    await assert.rejects(
      world.operate('skip', { queue: q0, offset: '3' }),
      refusal('REFUSED', /past offset 3/),
    );
    const look = await world.operate('skip', { queue: q0, offset: '4', 'dry-run': true });
    assert.deepEqual([look.message?.body, look.stored, stored(0)], ['{"n":4}', undefined, 4n]);
    assert.deepEqual(
      [(await world.operate('skip', { queue: q0, offset: '4' })).stored, stored(0)],
      ['5', 5n],
    );
    const parked = await world.operate('skip', { queue: q0, offset: '5', park: true });
    assert.deepEqual([parked.parked, parked.stored, stored(0)], [true, '6', 6n]);
    const letters = [];
    for await (const letter of peekDeadLetters(world.client, world.group.consumerGroup))
      letters.push(letter);
    assert.deepEqual(
      letters.map(({ message, originTopic }) => [String(message?.body), originTopic]),
      [['{"n":0}', 'orders']],
    );
    await world.operate('reset', { to: 'last' });
    await assert.rejects(
      world.operate('skip', { queue: q0, offset: '10' }),
      refusal('REFUSED', /at the end/),
    );
  });

  test('under way: a running group is fenced, set back, and delivers again what it is to', async () => {
    await world.operate('reset', { targets: [`${q0}=9`, 'orders/broker-a/1=1'] });
    const seen: string[] = [];
    const service = world.startService(({ Records }) => {
      for (const { body } of Records) seen.push(body);
    });
    try {
      const held = async () =>
        (await world.store.list(world.group)).filter(
          ({ queue, lease }) => queue.topic === 'orders' && isLive(lease, Date.now()),
        ).length;
      await until(async () => (await held()) === 2, 'both queues are held', 20_000);
      await until(() => stored(0) === 10n && stored(1) === 2n, 'both are at their end', 20_000);
      seen.length = 0;
      const answer = await world.operate('reset', { to: 'offset:8', queue: q0 });
      assert.deepEqual([answer.queues[0]?.stored, answer.waiting], ['8', []]);
      await until(
        () => seen.length >= 2 && stored(0) === 10n,
        'the two are delivered again',
        30_000,
      );
      assert.deepEqual(seen, ['{"n":3}', '{"n":4}']);
      // Nobody is paused any more.
      assert.ok(
        (await world.store.list(world.group)).every(
          ({ operatorPause }) => operatorPause === undefined,
        ),
      );
      // A holder that does not drain in the time of one request is told, and waited for by the next one.
      await until(async () => (await held()) >= 1, 'the queue is held again', 30_000);
      const impatient = await world.operate(
        'reset',
        { targets: [`${q0}=9`] },
        { remainingMs: () => 10_000 },
      );
      assert.deepEqual([impatient.queues, impatient.waiting], [[], [`${q0}=9`]]);
      const patient = await world.operate('reset', { targets: [...impatient.waiting] });
      assert.deepEqual([patient.queues[0]?.stored, patient.waiting], ['9', []]);
      await until(
        () => seen.length === 3 && stored(0) === 10n,
        'the last is delivered again',
        30_000,
      );
    } finally {
      await service.end();
    }
  });

  test("an operator's own pause outlasts a reset", async () => {
    await world.operate('pause', { for: 600, reason: 'mine' });
    await world.operate('reset', { to: 'first', queue: q0 });
    assert.deepEqual((await world.operate('status')).groups[0]?.queues[0]?.pauseReason, 'mine');
    await world.operate('resume');
  });
});

test('a group that keeps its offsets in the table is reset there', async () => {
  const world = await createOperatorWorld({}, { messageModel: 'BROADCASTING' });
  try {
    await world.produce(3, 0);
    await assert.rejects(
      world.operate('reset', { to: 'last', queue: 'orders/broker-a/0' }),
      refusal('REFUSED', /no item in the table/),
    );
    await world.store.create(world.group, world.queue(0), 0, 0n);
    const { queues } = await world.operate('reset', { to: 'offset:2', queue: 'orders/broker-a/0' });
    assert.equal(queues[0]?.stored, '2');
    assert.equal((await world.items()).length, 0);
    assert.equal((await world.store.list(world.group))[0]?.committedOffset, 2n);
  } finally {
    await world.stop();
  }
});

for (const messageModel of ['CLUSTERING', 'BROADCASTING'] as const)
  test(`${messageModel}: a reset and a skip work after a holder that died, and a reset forgets its counts`, async () => {
    const world = await createOperatorWorld({}, { messageModel });
    const queue = 'orders/broker-a/0';
    const item = async () => (await world.store.list(world.group))[0];
    try {
      await world.produce(5, 0);
      await world.store.create(world.group, world.queue(0), 0, 0n);
      const key = { ...world.group, queue: world.queue(0) };
      const dead = async (holder: string) => {
        const over = Date.now() - 60_000;
        const answer = await world.store.acquire({
          ...{ ...key, holder, slot: 0, now: Date.now(), leaseUntil: over, endsAt: over },
        });
        assert.ok(answer.applied);
        const committedOffset = (await item())?.committedOffset ?? 2n;
        await world.store.renew({
          ...{ ...key, holder, fence: answer.assignment.fence, leaseUntil: over },
          ...{ committedOffset, confirmedAt: over, attempts: new Map([[3n, 4]]) },
          ...{ batchLimits: [{ until: 5n, maxMessages: 1 }] },
        });
      };
      await world.client.commitOffset(world.group.consumerGroup, world.queue(0), 2n);
      await dead('one');
      const skipped = await world.operate('skip', { queue, offset: '2' });
      assert.equal(skipped.stored, '3');
      assert.deepEqual((await item())?.attempts, new Map([[3n, 4]]));
      await dead('two');
      const { queues } = await world.operate('reset', { queue, to: 'offset:1' });
      assert.equal(queues[0]?.stored, '1');
      const { committedOffset, confirmedAt, lease, crash, attempts, batchLimits } =
        (await item()) ?? {};
      assert.deepEqual(
        [committedOffset, confirmedAt, lease, crash, attempts, batchLimits],
        [1n, undefined, undefined, undefined, undefined, undefined],
      );
    } finally {
      await world.stop();
    }
  });

test('a reset that the table refuses is refused, and nothing is written at the broker', async () => {
  const world = await createOperatorWorld();
  try {
    await world.produce(5, 0);
    await world.store.create(world.group, world.queue(0), 0, 0n);
    await world.client.commitOffset(world.group.consumerGroup, world.queue(0), 4n);
    const store = { ...world.store, writeOffset: async () => 'held' as const };
    await assert.rejects(
      world.operate('reset', { queue: 'orders/broker-a/0', to: 'offset:1' }, { store }),
      refusal('REFUSED', /a puller holds orders\/broker-a\/0/),
    );
    assert.equal(
      world.broker.offset(world.group.consumerGroup, { topic: 'orders', queueId: 0 }),
      4n,
    );
  } finally {
    await world.stop();
  }
});
