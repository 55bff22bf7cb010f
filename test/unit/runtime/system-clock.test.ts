import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { mayAct } from '../../../src/decide/lease/lease.ts';
import { createSystemClock } from '../../../src/runtime/system-clock.ts';

/** A host whose wall clock is set and whose sandbox is frozen. */
function host() {
  const time = { wall: 1_000_000, monotonic: 5 };
  const clock = createSystemClock({ wall: () => time.wall, monotonic: () => time.monotonic });
  return {
    clock,
    pass(ms: number) {
      time.wall += ms;
      time.monotonic += ms;
    },
    /** Monotonic time stands still in some freezes. */
    freeze(ms: number) {
      time.wall += ms;
    },
    set(ms: number) {
      time.wall += ms;
    },
  };
}

describe('the clock of an invocation', () => {
  test('is the wall clock', () => {
    const { clock, pass } = host();
    pass(250);
    assert.equal(clock.now(), 1_000_250);
  });
  test('a wall clock set back: a lease ends no later than by the time that passed', () => {
    const { clock, pass, set } = host();
    const lease = { leaseUntil: clock.now() + 30_000 };
    pass(1_000);
    set(-60_000);
    assert.ok(mayAct(lease, clock.now()));
    pass(25_000);
    assert.equal(mayAct(lease, clock.now()), false);
  });
  test('a freeze in which only the wall clock went on: the lease is over', () => {
    const { clock, freeze } = host();
    const lease = { leaseUntil: clock.now() + 30_000 };
    freeze(31_000);
    assert.equal(mayAct(lease, clock.now()), false);
  });
  test('comes together with a wall clock that was set back', () => {
    const { clock, pass, set } = host();
    set(-1_000);
    pass(100_000);
    assert.equal(clock.now(), 1_000_000 - 1_000 + 100_000);
  });
  test('reading it often does not make it slower', () => {
    const { clock, pass, set } = host();
    set(-60_000);
    for (let index = 0; index < 40_000; index++) {
      pass(0.25);
      clock.now();
    }
    assert.equal(clock.now(), 1_000_000 + 9_900);
  });
  test('never goes back, and is never behind the wall clock', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('pass', 'freeze', 'set'), fc.integer({ max: 100_000 }))),
        (steps) => {
          const { clock, ...world } = host();
          let last = clock.now();
          for (const [kind, ms] of steps) {
            world[kind as 'pass'](kind === 'set' ? ms : Math.abs(ms % 100_000));
            const now = clock.now();
            assert.ok(now >= last);
            last = now;
          }
        },
      ),
    );
  });
});
