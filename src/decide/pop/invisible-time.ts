/** popInvisibleTime of DefaultMQPushConsumer: so long nobody else gets a popped message, unless it is prolonged. */
export const INVISIBLE_MS = 60_000;
/** A broker's clock and the way to it: what is left after this belongs to nobody for sure. */
const SAFETY_MS = 5_000;
/** popDelayLevel of DefaultMQPushConsumerImpl, in seconds: how long a failed message waits, by how often it failed before. */
const DELAYS = [
  10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
] as const;

/**
 * Is it time to prolong? With half of the time left, so that one failed try does no harm.
 * @param visibleAt when the broker gives the message to somebody else, epoch ms of our clock
 */
export function prolongDue(visibleAt: number, now: number, invisibleMs: number): boolean {
  return visibleAt - now <= invisibleMs / 2;
}

/** Is the message still ours to deliver, and its result ours to tell? */
export function isOurs(visibleAt: number, now: number): boolean {
  return now < visibleAt - SAFETY_MS;
}

/** How long a failed message stays invisible. @param delayLevel 0: by its failures so far; n: that entry of the table, as Java's client does it */
export function redeliveryDelayMs(delayLevel: number, reconsumeTimes: number): number {
  const index = delayLevel > 0 ? delayLevel : reconsumeTimes;
  return (DELAYS[Math.min(index, DELAYS.length - 1)] ?? DELAYS[0]) * 1000;
}
