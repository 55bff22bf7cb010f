import { isLimited, type SourceConfig } from '../model/source.ts';
import type { PullerRequest } from '../ports/invoke.ts';
import type { Logger } from '../ports/logger.ts';

/**
 * Does the request ask for a slot that the group does not have, or for a way of working that is not the group's? Whoever may invoke the function writes
 * it. Both ways of `runRequest` ask here before they write anything.
 */
export function isRefused(
  source: SourceConfig,
  { consumerGroup, slot, asMember }: PullerRequest,
  logger: Logger,
): boolean {
  const isShared = source.coexist === true;
  if (isShared === (asMember === true) && hasSlot(source, slot)) return false;
  logger.error(
    { consumerGroup, slot, code: 'ROCKETMQ_PULLER_REQUEST' },
    'request refused, the group has no such slot, or is shared with other members',
  );
  return true;
}

/** Each queue has a slot in `pullers: queue`: the assignments say which slots there are. */
function hasSlot(source: SourceConfig, slot: number): boolean {
  if (source.pullers === 'queue') return !isLimited(source) || slot === 0;
  return slot < source.pullers;
}
