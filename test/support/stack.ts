import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  dynamodbLocalPart,
  ROCKETMQ_VERSION,
  rocketmqPart,
  type StackPart,
  stampFile,
} from '../../cli/stack/cache.ts';
import { hasPythonTools } from '../../cli/stack/python-tools.ts';

/** The broker version under test: another one than usual in `npm run test:matrix`. */
export const TESTED_VERSION = process.env.ROCKETMQ_TEST_VERSION ?? ROCKETMQ_VERSION;

/** Is the version under test of that one or later (`since('5.0')`)? Differences are named where they matter, never passed over. */
export function since(version: string): boolean {
  const [major = 0, minor = 0] = TESTED_VERSION.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = version.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/**
 * Why a suite that needs the real thing cannot run here; false when it can. In CI (CI=true) a missing part is an error, never a skip.
 * For `{ skip: missingStack('rocketmq') }`.
 */
export function missingStack(...parts: readonly ('rocketmq' | 'dynamodb')[]): string | false {
  const missing = parts
    .map((part) => (part === 'rocketmq' ? rocketmqPart(TESTED_VERSION) : dynamodbLocalPart()))
    .filter((part) => !isThere(part));
  const commands = ['java', ...(parts.includes('rocketmq') ? ['javac'] : [])].filter(
    (command) => !isOnPath(command),
  );
  const names = [...missing.map(({ name }) => name), ...commands];
  if (names.length === 0) return false;
  const reason = `${names.join(' and ')} missing: ${commands.length > 0 ? 'install a JDK 17 and Maven, then ' : ''}npm run stack:install`;
  if (process.env.CI === 'true') throw new Error(`${reason} (in CI nothing is skipped)`);
  return reason;
}

/** Like `missingStack`, for suites that deploy to moto and lint templates. */
export function missingPythonTools(): string | false {
  if (hasPythonTools()) return false;
  const reason =
    'moto and cfn-lint missing: install Python 3 with venv, then npm run stack:install';
  if (process.env.CI === 'true') throw new Error(`${reason} (in CI nothing is skipped)`);
  return reason;
}

/** Debian's; another place by CHROMIUM_PATH. */
export const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';

/** Like `missingStack`, for suites that need a browser. */
export function missingBrowser(): string | false {
  if (existsSync(CHROMIUM)) return false;
  const reason = `Chromium missing at ${CHROMIUM}: apt-get install chromium, or CHROMIUM_PATH`;
  if (process.env.CI === 'true') throw new Error(`${reason} (in CI nothing is skipped)`);
  return reason;
}

/** The part itself; throws when it was not fetched. */
export function requirePart(part: StackPart): StackPart {
  if (!isThere(part))
    throw new Error(`${part.name} is not in ${part.folder}: npm run stack:install fetches it`);
  return part;
}

function isThere(part: StackPart): boolean {
  return existsSync(stampFile(part));
}

function isOnPath(command: string): boolean {
  return (process.env.PATH ?? '')
    .split(path.delimiter)
    .some((folder) => existsSync(path.join(folder, command)));
}
