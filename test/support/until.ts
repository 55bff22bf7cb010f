import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until it holds; fails when that takes longer than `withinMs`. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 5000,
): Promise<void> {
  for (const end = Date.now() + withinMs; !(await holds()); await sleep(5))
    assert(Date.now() < end, `not within ${withinMs / 1000} s: ${what}`);
}
