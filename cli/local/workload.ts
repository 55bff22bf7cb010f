import type { OutgoingMessage } from '../../src/ports/rocketmq.ts';

/** What the sample handler reads from a message of a local run. */
export interface SampleOrder {
  readonly runId: string;
  readonly orderId: number;
  /** The handler fails this order while reconsumeTimes is below: 0 never, 1 on the first delivery only. */
  readonly failTimes: number;
}

/** Fails on every delivery. */
export const ALWAYS = 1_000_000;
const SHARE_FAILING_ONCE = 0.03;
const ALWAYS_FAILING = 5;

/**
 * The orders of one run: 3 % fail on their first delivery, 5 fail always. Both kinds are spread evenly, so that every queue meets some.
 * @param count how many messages, at least 1
 */
export function planOrders(runId: string, count: number): SampleOrder[] {
  const failTimes = new Array<number>(count).fill(0);
  const always = Math.min(ALWAYS_FAILING, count);
  for (let i = 0; i < always; i++) failTimes[Math.floor((i * count) / always)] = ALWAYS;
  const once = Math.min(Math.round(count * SHARE_FAILING_ONCE), count - always);
  const free = failTimes.flatMap((times, index) => (times === 0 ? [index] : []));
  for (let i = 0; i < once; i++) failTimes[free[Math.floor((i * free.length) / once)] ?? 0] = 1;
  return failTimes.map((times, orderId) => ({ runId, orderId, failTimes: times }));
}

/** An order as the producer sends it. */
export function orderMessage(topic: string, order: SampleOrder): OutgoingMessage {
  return {
    topic,
    body: Buffer.from(JSON.stringify(order)),
    keys: [`order-${order.orderId}`],
    tags: order.failTimes === 0 ? 'paid' : 'disputed',
  };
}
