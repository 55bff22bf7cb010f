import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Context } from 'aws-lambda';
import { inlineHandler, inlineTurns } from '../../../handlers/inline-handler.ts';
import type { Logger } from '../../../src/ports/logger.ts';

const PAYLOAD = { event: () => ({ Records: [] }), json: () => '{}' };
const never = new AbortController().signal;

describe('an inline handler in the puller’s process', () => {
  const codes: unknown[] = [];
  const note = (fields: unknown) => void codes.push((fields as { code?: unknown }).code);
  const logger = { warn: note, error: note } as unknown as Logger;
  const context = {
    awsRequestId: 'puller-1',
    functionName: 'shop-dev-rocketmqPuller',
    memoryLimitInMB: '512',
    getRemainingTimeInMillis: () => 800_000,
  } as Context;
  const called = (handle: (context: Context) => unknown, functionKey: string) =>
    inlineHandler((_event: never, own: Context) => handle(own), {
      ...{ functionKey, functionName: `shop-dev-${functionKey}`, context, logger },
    });

  test('has a context of its own for each call', async () => {
    const seen: Context[] = [];
    const handler = called((own) => void seen.push(own), 'orders');
    await handler.invoke(PAYLOAD, { timeoutMs: 2_000 });
    await handler.invoke(PAYLOAD, { timeoutMs: 900_000 });
    const [first, second] = seen as [Context, Context];
    assert.equal(first.functionName, 'shop-dev-orders');
    assert.equal(first.memoryLimitInMB, '512');
    assert.equal(new Set([context, first, second].map((own) => own.awsRequestId)).size, 3);
    const left = first.getRemainingTimeInMillis();
    assert.ok(left > 0 && left <= 2_000, 'until its own timeout');
    assert.equal(second.getRemainingTimeInMillis(), 800_000, 'or until the puller’s end');
  });

  test('its next call waits for one that goes on after its timeout', async () => {
    const late = Promise.withResolvers<void>();
    const handler = called(() => late.promise, 'slow');
    const outcome = await handler
      .invoke(PAYLOAD, { timeoutMs: 30_000, signal: AbortSignal.abort() })
      .catch(() => 'not called');
    assert.equal(outcome, 'not called');
    const stop = new AbortController();
    const given = handler.invoke(PAYLOAD, { timeoutMs: 30_000, signal: stop.signal });
    stop.abort(new Error('given up'));
    await assert.rejects(given, /given up/);
    assert.deepEqual(codes, ['ROCKETMQ_HANDLER_OUTLIVED']);
    let isNext = false;
    const next = inlineTurns.enter('slow', 1, never).then((end) => {
      isNext = true;
      return end;
    });
    await new Promise(setImmediate);
    assert.equal(isNext, false);
    late.resolve();
    (await next)?.();
    assert.deepEqual(codes, ['ROCKETMQ_HANDLER_OUTLIVED']);
  });

  test('another timeout later the next call goes on beside it, and that is named', async () => {
    codes.splice(0);
    const handler = called(() => new Promise(() => {}), 'endless');
    const outcome = await handler.invoke(PAYLOAD, { timeoutMs: 20 });
    assert.equal(outcome.kind, 'failed');
    (await inlineTurns.enter('endless', 1, never))?.();
    assert.deepEqual(codes, ['ROCKETMQ_HANDLER_OUTLIVED', 'ROCKETMQ_HANDLER_OUTLIVED']);
  });
});
