import { createHash } from 'node:crypto';
import type { SourceConfig } from '../../model/source.ts';

/**
 * Names the options that a puller works with. A holder whose lease names others works with those of an older deployment: it is succeeded at once,
 * so that a changed filter, handler or batch size does not wait for the old invocation's end.
 */
export function sourceDigest({
  cluster: _cluster,
  consumerGroup: _group,
  ...options
}: SourceConfig): string {
  return createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 16);
}
