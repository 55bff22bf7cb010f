import { existsSync } from 'node:fs';
import path from 'node:path';
import { dynamodbLocalPart, rocketmqPart, type StackPart, stampFile } from '../../cli/stack/cache.ts';

/**
 * Why a suite that needs the real thing cannot run here; false when it can. In CI (CI=true) a missing part is an error, never a skip.
 * For `{ skip: missingStack('rocketmq') }`.
 */
export function missingStack(...parts: readonly ('rocketmq' | 'dynamodb')[]): string | false {
  const missing = parts.map((part) => (part === 'rocketmq' ? rocketmqPart() : dynamodbLocalPart())).filter((part) => !isThere(part));
  const commands = ['java', ...(parts.includes('rocketmq') ? ['javac'] : [])].filter((command) => !isOnPath(command));
  const names = [...missing.map(({ name }) => name), ...commands];
  if (names.length === 0) return false;
  const reason = `${names.join(' and ')} missing: ${commands.length > 0 ? 'install a JDK 17 and Maven, then ' : ''}npm run stack:install`;
  if (process.env.CI === 'true') throw new Error(`${reason} (in CI nothing is skipped)`);
  return reason;
}

/** The part itself; throws when it was not fetched. */
export function requirePart(part: StackPart): StackPart {
  if (!isThere(part)) throw new Error(`${part.name} is not in ${part.folder}: npm run stack:install fetches it`);
  return part;
}

function isThere(part: StackPart): boolean {
  return existsSync(stampFile(part));
}

function isOnPath(command: string): boolean {
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => existsSync(path.join(folder, command)));
}
