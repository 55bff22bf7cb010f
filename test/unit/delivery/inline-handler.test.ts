import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Context } from 'aws-lambda';
import {
  createInlineHandler,
  type InlineHandlerFunction,
} from '../../../src/delivery/inline-handler.ts';
import { RocketMQError } from '../../../src/errors.ts';
import type { RocketMQEvent } from '../../../src/model/event.ts';

const EVENT = { Records: [], rocketmqBatch: { batchId: 'b' } } as unknown as RocketMQEvent;
const PAYLOAD = { event: () => EVENT, json: () => JSON.stringify(EVENT) };
const CONTEXT = { awsRequestId: 'request-1' } as Context;
const call = (
  handler: InlineHandlerFunction | undefined,
  timeoutMs = 1_000,
  signal?: AbortSignal,
) =>
  createInlineHandler(handler, () => CONTEXT).invoke(PAYLOAD, {
    timeoutMs,
    ...(signal && { signal }),
  });

describe('inline handlers', () => {
  it('get event and context; what they answer, now or later, is the answer', async () => {
    const seen: unknown[] = [];
    const later = async (...given: unknown[]) => {
      seen.push(...given);
      return { batchItemFailures: [] };
    };
    assert.deepEqual(await call(later), { kind: 'answered', answer: { batchItemFailures: [] } });
    assert.deepEqual(seen, [EVENT, CONTEXT]);
    assert.deepEqual(await call(() => 'now'), { kind: 'answered', answer: 'now' });
    assert.deepEqual(await call(() => undefined), { kind: 'answered', answer: undefined });
  });

  it('what goes on after its timeout, or after it was given up, is told; what has ended is not', async () => {
    const outlived: [Promise<unknown>, number][] = [];
    const run = (handler: InlineHandlerFunction, signal?: AbortSignal) =>
      createInlineHandler(handler, () => CONTEXT, {
        onOutlived: (...told) => outlived.push(told),
      }).invoke(PAYLOAD, { timeoutMs: 20, ...(signal && { signal }) });
    const late = Promise.withResolvers<string>();
    const outcome = await run(() => late.promise);
    assert.equal(outcome.kind, 'failed');
    assert.deepEqual(
      outlived.map(([, timeoutMs]) => timeoutMs),
      [20],
    );
    late.resolve('late');
    assert.equal(await outlived[0]?.[0], 'late');
    const stop = new AbortController();
    const given = run(() => new Promise(() => {}), stop.signal);
    stop.abort(new Error('stop'));
    await assert.rejects(given, /stop/);
    assert.equal(outlived.length, 2);
    await run(() => 'now');
    await run(() => Promise.reject(new Error('no')));
    await run(() => {
      throw new Error('no');
    });
    assert.equal(outlived.length, 2);
  });

  it('one that lets nothing else run for 5 s is told, with its time', async (context) => {
    context.mock.timers.enable({ apis: ['setInterval'] });
    let now = 0;
    context.mock.method(performance, 'now', () => now);
    const blocked: number[] = [];
    const run = (handler: InlineHandlerFunction) =>
      createInlineHandler(handler, () => CONTEXT, {
        onBlocked: (ms) => blocked.push(ms),
      }).invoke(PAYLOAD, { timeoutMs: 60_000 });
    const block = (ms: number) => {
      now += ms;
    };
    await run(() => block(4_900));
    await run(async () => {
      for (let second = 0; second < 20; second++) {
        block(1_000);
        context.mock.timers.tick(1_000);
      }
    });
    assert.deepEqual(blocked, []);
    assert.equal((await run(() => block(36_000))).kind, 'answered');
    await run(async () => {
      block(8_000);
      context.mock.timers.tick(1_000);
      throw new Error('no');
    });
    assert.deepEqual(blocked, [35_000, 7_000]);
  });

  it('a throw, a rejection and a thrown non-error are failures', async () => {
    const thrower = () => {
      throw new TypeError('bad order');
    };
    assert.deepEqual(await call(thrower), {
      kind: 'failed',
      errorType: 'TypeError',
      errorMessage: 'bad order',
    });
    assert.deepEqual(await call(async () => thrower()), {
      kind: 'failed',
      errorType: 'TypeError',
      errorMessage: 'bad order',
    });
    assert.deepEqual(await call(() => Promise.reject('text')), {
      kind: 'failed',
      errorType: 'Error',
      errorMessage: 'text',
    });
  });

  it('a returned error is a failure, as a thrown one is', async () => {
    const failed = { kind: 'failed', errorType: 'TypeError', errorMessage: 'bad order' };
    assert.deepEqual(await call(() => new TypeError('bad order')), failed);
    assert.deepEqual(await call(async () => new TypeError('bad order')), failed);
  });

  it('whatever is thrown is a failure with a text', async () => {
    const unreadable = new Error('x');
    Object.defineProperty(unreadable, 'message', {
      get() {
        throw new Error('no message either');
      },
    });
    const named = Object.assign(new Error('y'), { name: Symbol('name') });
    for (const thrown of [
      undefined,
      null,
      Symbol('no text'),
      Object.create(null),
      { toString: () => assert.fail('no text') },
      unreadable,
      named,
      new Proxy(new Error('z'), { get: () => assert.fail('no field') }),
    ]) {
      const outcome = await call(() => {
        throw thrown;
      });
      assert.equal(outcome.kind, 'failed');
      assert.ok(outcome.kind === 'failed' && typeof outcome.errorType === 'string');
      assert.ok(outcome.kind === 'failed' && typeof outcome.errorMessage === 'string');
    }
    const huge = await call(() => {
      throw new Error('x'.repeat(1_000_000));
    });
    assert.ok(huge.kind === 'failed' && huge.errorMessage.length === 500);
  });

  it('a hung handler fails at its timeout; what it says afterwards is nobody’s unhandled rejection', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    const startedAt = Date.now();
    const outcome = await call(() => promise, 50);
    assert.deepEqual(
      [outcome.kind, outcome.kind === 'failed' && outcome.errorType],
      ['failed', 'HandlerTimeout'],
    );
    assert.ok(Date.now() - startedAt >= 45);
    reject(new Error('much too late'));
    await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it('throws the signal’s reason when the call is ended, before it and during it', async () => {
    const reason = new Error('the lease is lost');
    let called = false;
    const handler = () => {
      called = true;
      return new Promise(() => {});
    };
    await assert.rejects(call(handler, 1_000, AbortSignal.abort(reason)), reason);
    assert.equal(called, false);
    const controller = new AbortController();
    const ended = assert.rejects(call(handler, 1_000, controller.signal), reason);
    controller.abort(reason);
    await ended;
  });

  it('a handler that is not in the bundle is a misconfiguration, and no failure of the messages', async () => {
    const outcome = await call(undefined);
    assert.equal(outcome.kind, 'misconfigured');
    assert.ok(outcome.kind === 'misconfigured' && outcome.error instanceof RocketMQError);
    assert.equal(outcome.error.code, 'ROCKETMQ_HANDLER_NOT_FOUND');
  });
});
