/** Which order a source keeps; also the name of its topic and group in a fault run. */
export type Order = 'none' | 'queue' | 'key';

export const ORDERS: readonly Order[] = ['none', 'queue', 'key'];
/** Redeliveries before the DLQ. */
export const MAX_RETRIES = 3;
export const KEYS = 64;
/** A dead message among this many. */
const DEAD_EVERY = 500;
/** A message that fails once or twice among this many. */
const FAILS_EVERY = 100;

export const topicOf = (order: Order): string => `orders-${order}`;
export const groupOf = (order: Order): string => `workers-${order}`;

/** How many of its deliveries fail: producer, handler and checks agree on it without talking. */
export function failuresOf(seq: number): number {
  if (seq % DEAD_EVERY === 300) return Number.POSITIVE_INFINITY;
  if (seq % FAILS_EVERY === 13) return 1 + (Math.floor(seq / FAILS_EVERY) % 2);
  return 0;
}

export function isDead(seq: number): boolean {
  return failuresOf(seq) > MAX_RETRIES;
}

/** The messages that share an order; undefined: the message has none. */
export function messageGroupOf(order: Order, queue: string, key: string): string | undefined {
  if (order === 'none') return undefined;
  return order === 'queue' ? queue : `${queue} ${key}`;
}
