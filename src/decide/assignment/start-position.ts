import type { SubscriptionConfig } from '../../model/source.ts';

/** Where a queue begins that has no item yet, as a question to its broker. */
export type StartPosition =
  | { readonly at: 'min' }
  | { readonly at: 'max' }
  | { readonly at: 'timestamp'; readonly timestamp: number };

/**
 * startingPosition speaks of the first meeting of group and topic only. A queue or broker that appears later begins at its first message,
 * so that growth never skips any; retry queues (no subscription of their own) always do, since all in them was meant for this group.
 * Java decides per queue and client start (RebalancePushImpl.computePullFromWhereWithException) and skips messages of late queues.
 */
export function startPosition(
  subscription:
    | Pick<SubscriptionConfig, 'startingPosition' | 'startingPositionTimestamp'>
    | undefined,
  met: boolean,
): StartPosition {
  if (subscription === undefined || met) return { at: 'min' };
  switch (subscription.startingPosition) {
    case 'TRIM_HORIZON':
      return { at: 'min' };
    case 'LATEST':
      return { at: 'max' };
    case 'AT_TIMESTAMP':
      return { at: 'timestamp', timestamp: subscription.startingPositionTimestamp ?? 0 };
  }
}
