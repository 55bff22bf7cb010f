import type { Message } from '../model/message.ts';
import type { OrderConfig } from '../model/source.ts';
import { Property } from './properties.ts';

/** The key that orders the message, with `order: key`. Of several KEYS the first counts. undefined: it waits for nobody. */
export function orderKeyOf(
  { properties }: Pick<Message, 'properties'>,
  order: OrderConfig | undefined,
): string | undefined {
  if (order?.by !== 'key') return undefined;
  switch (order.key) {
    case undefined:
      return undefined;
    case 'SHARDING_KEY':
      return properties.get(Property.SHARDING_KEY) || undefined;
    case 'KEYS':
      return properties
        .get(Property.KEYS)
        ?.split(' ')
        .find((key) => key !== '');
    default:
      return properties.get(order.key) || undefined;
  }
}
