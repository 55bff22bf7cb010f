import assert from 'node:assert/strict';
import { it as plain } from 'node:test';
import { TESTED_VERSION } from '../../support/stack.ts';
import { differenceOf } from './differences.ts';

/** A check of the contract. On a version that is known to differ there, it must fail. */
export function it(name: string, check: () => Promise<void> | void): void {
  const difference = differenceOf(TESTED_VERSION, name);
  if (difference === undefined) plain(name, check);
  else
    plain(`${TESTED_VERSION} differs (${difference}): ${name}`, async () => {
      await assert.rejects(async () => check(), `${TESTED_VERSION} does not differ any more`);
    });
}
