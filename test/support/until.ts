import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until it holds; fails when that takes longer than 5 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 5000; !holds(); await sleep(5)) assert(Date.now() < end, `not within 5 s: ${what}`);
}
