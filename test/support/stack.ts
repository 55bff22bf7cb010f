import { existsSync } from 'node:fs';
import { dynamodbLocalPart, rocketmqPart, stampFile } from '../../cli/stack/cache.ts';

/**
 * Why a suite that needs the real thing cannot run here; false when it can. In CI (CI=true) a missing part is an error, never a skip.
 * For `{ skip: missingStack('rocketmq') }`.
 */
export function missingStack(...parts: readonly ('rocketmq' | 'dynamodb')[]): string | false {
  const missing = parts
    .map((part) => (part === 'rocketmq' ? rocketmqPart() : dynamodbLocalPart()))
    .filter((part) => !existsSync(stampFile(part)));
  if (missing.length === 0) return false;
  const reason = `${missing.map(({ name }) => name).join(' and ')} missing: npm run stack:install`;
  if (process.env.CI === 'true') throw new Error(`${reason} (in CI nothing is skipped)`);
  return reason;
}
