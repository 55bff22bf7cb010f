import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { checkAcl } from './acl.ts';
import { checkAllocation } from './allocation.ts';
import { Checker } from './checker.ts';
import { checkFrames } from './frames.ts';
import { checkMessages } from './messages.ts';
import { checkSubscriptions } from './subscriptions.ts';

const FILES: readonly (readonly [name: string, check: (vectors: never, checker: Checker) => void])[] = [
  ['allocation.json', checkAllocation],
  ['frames.json', checkFrames],
  ['messages.json', checkMessages],
  ['acl.json', checkAcl],
  ['subscriptions.json', checkSubscriptions],
];

/** Checks every vector file of the folder and prints each difference. @returns 0 when all passed and no file was missing or broken */
export async function runConformance(folder: string, print: (line: string) => void): Promise<number> {
  let [passed, failed] = [0, 0];
  let complete = true;
  for (const [name, check] of FILES) {
    const vectors = await readVectors(path.join(folder, name)).catch((error: unknown) => {
      print(`${name}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : `not readable as vectors: ${String(error)}`}`);
      complete = false;
      return undefined;
    });
    if (vectors === undefined) continue;
    const checker = new Checker(name, print);
    check(vectors as never, checker);
    passed += checker.passed;
    failed += checker.failed;
  }
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 && complete && passed > 0 ? 0 : 1;
}

async function readVectors(file: string): Promise<object> {
  const value: unknown = JSON.parse(await readFile(file, 'utf8'));
  if (typeof value !== 'object' || value === null) throw new Error('no JSON object');
  return value;
}
