import type { OrderConfig } from '../model/source.ts';
import type { EventOptions } from './event-options.ts';
import type { ConfigPath, Problems } from './problems.ts';
import type { ServiceOptions } from './service-options.ts';

type OrderedEvent = EventOptions & { readonly path: ConfigPath };

/** Java's for messages that may be delivered in any order, and for those that may not: a message is passed over in its order only when the user said so. */
const DEFAULT_RETRIES = 16;
const DEFAULT_ORDERED_RETRIES = -1;
const DEFAULT_SUSPENSION_MS = 1_000;
const DEFAULT_KEY = 'SHARDING_KEY';

/** What the options of order need of each other, of the group's mode, and of the other events of the group. */
export function orderFits(
  events: readonly OrderedEvent[],
  options: ServiceOptions,
  problems: Problems,
): void {
  const first = new Map<string, OrderedEvent>();
  for (const event of events) {
    const {
      path,
      order,
      orderKey,
      suspendCurrentQueueTimeMillis,
      parallelizationFactor,
      cluster,
      consumerGroup,
    } = event;
    if (order !== 'key' && orderKey !== undefined)
      problems.add(
        [...path, 'orderKey'],
        ` has no effect with order ${order}: set order: key, or leave orderKey out`,
        'ORDER_CONFLICT',
      );
    if (order === 'none' && suspendCurrentQueueTimeMillis !== undefined)
      problems.add(
        [...path, 'suspendCurrentQueueTimeMillis'],
        ' has no effect with order none: a message that failed is sent back, and nothing waits for it',
        'ORDER_CONFLICT',
      );
    if (order === 'queue' && parallelizationFactor > 1)
      problems.add(
        [...path, 'parallelizationFactor'],
        ` is ${parallelizationFactor}, but with order: queue a queue has one batch in flight: set it to 1, or use order: key, which runs different keys side by side`,
        'ORDER_CONCURRENCY',
      );
    const group = options.groups[consumerGroup];
    if (order !== 'none' && (group?.mode === 'pop' || group?.messageModel === 'BROADCASTING'))
      problems.add(
        [...path, 'order'],
        ` is ${order}, but group "${consumerGroup}" has ${group.mode === 'pop' ? 'mode pop' : 'messageModel BROADCASTING'}, which keeps no order: leave one of them out`,
        'ORDER_MODE',
      );
    const key = JSON.stringify([cluster, consumerGroup]);
    const other = first.get(key);
    if (other === undefined) first.set(key, event);
    else if (other.order !== order)
      problems.add(
        [...path, 'order'],
        ` is ${order}, but ${other.path.join('.')} of the same group has ${other.order}: the group's retry queue and its locks at the brokers are shared, so use one order, or another consumerGroup here`,
        'ORDER_MIX',
      );
  }
}

export function orderOf({
  order,
  orderKey,
  suspendCurrentQueueTimeMillis = DEFAULT_SUSPENSION_MS,
}: EventOptions): OrderConfig | undefined {
  if (order === 'none') return undefined;
  return {
    by: order,
    ...(order === 'key' ? { key: orderKey ?? DEFAULT_KEY } : {}),
    suspendCurrentQueueTimeMillis,
  };
}

export function defaultRetries({ order }: EventOptions): number {
  return order === 'none' ? DEFAULT_RETRIES : DEFAULT_ORDERED_RETRIES;
}
