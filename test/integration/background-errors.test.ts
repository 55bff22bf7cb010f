import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { queueKey } from '../../src/model/message-queue.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { silentLogger } from '../support/coordinator-world.ts';
import { at, createPullerWorld, type PullerWorld, recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

/** The test runner fails a test for a rejection that nobody handles; in Lambda it would end the process with all its queues. */
describe('an error in work that a puller does not await', () => {
  let world: PullerWorld;
  beforeEach(async () => {
    world = await createPullerWorld();
  });
  afterEach(() => world.stop());

  test('of settling an expired call ends its queue by name, and the handler is still waited for', async () => {
    await world.prepare(1);
    await world.produce(1);
    const random = (): number => {
      throw new Error('anything');
    };
    let answered = false;
    const puller = world.start(
      async () => {
        await sleep(1_500);
        answered = true;
      },
      { subscriptions: [{ consumeTimeout: 0.2 }], deps: { random } },
    );
    const { queues } = await puller.report;
    assert.equal(queues[0]?.reason, 'error');
    assert.ok(world.logs.some(({ message }) => message.startsWith('messages of an expired call')));
    await until(() => answered, 'the handler ends');
  });

  test('of renewing a slot drains the slot', async () => {
    const queues = await world.prepare(1);
    await world.produce(1);
    const store = {
      ...world.store,
      slots: {
        ...world.store.slots,
        renew: () => {
          throw new Error('anything');
        },
      },
    };
    const puller = world.start(recorder().handler, {
      ...{ queues, deps: { store } },
      subscriptions: [{ maximumConcurrency: 1 }],
    });
    const report = await puller.report;
    assert.ok(report.queues.every(({ reason }) => reason === 'signal'));
    assert.ok(
      world.logs.some(({ message }) => message === 'slot lease not renewed any more: draining'),
    );
  });

  test('of one queue leaves the others at work', async () => {
    await world.prepare(2);
    await world.produce(3, 1);
    const logger: Logger = {
      ...silentLogger,
      child: (fields) => {
        if ('queue' in fields && fields.queue === queueKey(at(0))) throw new Error('anything');
        return logger;
      },
    };
    const seen = recorder();
    const puller = world.start(seen.handler, { queues: [at(0), at(1)], deps: { logger } });
    await until(() => world.committed(at(1)) === 3n, 'the other queue is worked');
    const { queues } = await puller.stop();
    assert.deepEqual(
      queues.map(({ reason }) => reason),
      ['error', 'signal'],
    );
  });
});
