import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { callInTime, NoTimeLeftError } from '../../../src/puller/call-in-time.ts';

/** A holder may not act in the last 5 s of its lease. */
const LEFT_MS = 6_000;

describe('a call that may hang at the end of an invocation', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }));
  afterEach(() => mock.timers.reset());

  function invocation(remainingMs: number) {
    const endsAt = Date.now() + remainingMs;
    const requests = new AbortController();
    return {
      requests,
      remainingMs: () => endsAt - Date.now(),
      lifecycle: { signal: () => requests.signal },
    };
  }
  type Call = Parameters<typeof callInTime>[1];
  /** Its outcome, and what the invocation had left then. */
  async function outcomeOf(parts: ReturnType<typeof invocation>, call: Call) {
    let outcome: { error?: unknown; leftMs: number } | undefined;
    const settled = (error?: unknown): void => {
      outcome = { error, leftMs: parts.remainingMs() };
    };
    callInTime(parts, call).then(() => settled(), settled);
    for (let ms = 0; outcome === undefined && ms < 700_000; ms += 100) {
      await new Promise(setImmediate);
      if (outcome === undefined) mock.timers.tick(100);
      await new Promise(setImmediate);
    }
    return outcome!;
  }
  const OBEYS: Call = (signal) => rejectedBy(signal);
  const HANGS: Call = () => new Promise<never>(() => {});

  for (const [what, call] of [
    ['obeys its signal', OBEYS],
    ['obeys no signal', HANGS],
  ] as const) {
    test(`that ${what} is given up with time left to commit and release`, async () => {
      for (const remainingMs of [8_000, 6_400, 6_100]) {
        const { error, leftMs } = await outcomeOf(invocation(remainingMs), call);
        assert.ok(error instanceof NoTimeLeftError);
        assert.ok(leftMs > LEFT_MS - 500 && leftMs <= LEFT_MS, `${leftMs}`);
      }
    });

    test(`that ${what} is given up after 15 s in the middle of an invocation, as a failure of its own`, async () => {
      const { error, leftMs } = await outcomeOf(invocation(600_000), call);
      assert.match(String(error), /CallTimeoutError: no answer within 15 s/);
      assert.ok(leftMs <= 585_000 && leftMs > 584_000, `${leftMs}`);
    });

    test(`that ${what} ends with the requests of its queue`, async () => {
      const parts = invocation(600_000);
      const outcome = outcomeOf(parts, call);
      parts.requests.abort(new Error('lease lost'));
      assert.match(String((await outcome).error), /lease lost|aborted/);
      assert.match(String((await outcomeOf(parts, call)).error), /lease lost|aborted/);
    });
  }

  test('is not begun without time', async () => {
    const { error } = await outcomeOf(invocation(LEFT_MS), async () => assert.fail('called'));
    assert.ok(error instanceof NoTimeLeftError);
  });

  test('has its result and its error otherwise', async () => {
    assert.equal((await outcomeOf(invocation(600_000), async () => 'done')).error, undefined);
    const failing: Call = async () => {
      throw new Error('AccessDenied');
    };
    assert.match(String((await outcomeOf(invocation(600_000), failing)).error), /AccessDenied/);
  });
});

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(new Error('aborted'));
    signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
  });
}
