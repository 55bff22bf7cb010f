import type { SourceConfig } from '../../model/source.ts';

/** Has the source an event whose handler calls are limited over all queues (`maximumConcurrency`)? Then each slot is one invocation at a time. */
export function isLimited({ subscriptions }: Pick<SourceConfig, 'subscriptions'>): boolean {
  return subscriptions.some(({ maximumConcurrency }) => maximumConcurrency !== undefined);
}

/** A slot's part of a limit, whole and at least 1 while there are no more slots than calls. The parts of all slots make up the limit. */
export function shareOf(limit: number, slots: number, slot: number): number {
  return Math.floor(limit / slots) + (slot < limit % slots ? 1 : 0);
}
