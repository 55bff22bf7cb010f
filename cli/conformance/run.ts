import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { checkAcl } from './acl.ts';
import { checkAllocation } from './allocation.ts';
import { Checker } from './checker.ts';
import { checkFrames } from './frames.ts';
import { checkMessages } from './messages.ts';
import { checkSubscriptions } from './subscriptions.ts';

interface VectorFile {
  readonly name: string;
  /** Its lists of cases; an empty one would check nothing. */
  readonly lists: readonly string[];
  readonly check: (vectors: never, checker: Checker) => void;
}

const FILES: readonly VectorFile[] = [
  { name: 'allocation.json', lists: ['cases'], check: checkAllocation },
  { name: 'frames.json', lists: ['cases'], check: checkFrames },
  { name: 'messages.json', lists: ['cases'], check: checkMessages },
  { name: 'acl.json', lists: ['cases'], check: checkAcl },
  { name: 'subscriptions.json', lists: ['subscriptions', 'tagHashes'], check: checkSubscriptions },
];

/** Checks every vector file of the folder and prints each difference. @returns 0 when all passed and no file was missing or broken */
export async function runConformance(
  folder: string,
  print: (line: string) => void,
): Promise<number> {
  const [passed, failed, complete] = await checkFolder(folder, print);
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 && complete ? 0 : 1;
}

async function checkFolder(
  folder: string,
  print: (line: string) => void,
): Promise<[passed: number, failed: number, complete: boolean]> {
  let [passed, failed, complete] = [0, 0, true];
  if (!(await isFolder(folder))) {
    print(
      `${folder}: no such folder. Name the one that holds ${FILES.map(({ name }) => name).join(', ')}`,
    );
    return [passed, failed, false];
  }
  for (const { name, lists, check } of FILES) {
    const checker = new Checker(name, print);
    try {
      check((await readVectors(path.join(folder, name), lists)) as never, checker);
    } catch (error) {
      print(
        `${name}: ${isMissing(error) ? 'missing' : `not readable as vectors: ${String(error)}`}`,
      );
      complete = false;
    }
    passed += checker.passed;
    failed += checker.failed;
  }
  return [passed, failed, complete];
}

async function isFolder(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch {
    return false;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

async function readVectors(file: string, lists: readonly string[]): Promise<object> {
  const vectors: unknown = JSON.parse(await readFile(file, 'utf8'));
  if (typeof vectors !== 'object' || vectors === null) throw new Error('no JSON object');
  for (const list of lists) {
    const cases = (vectors as Record<string, unknown>)[list];
    if (!Array.isArray(cases) || cases.length === 0) throw new Error(`it has no "${list}"`);
  }
  return vectors;
}
