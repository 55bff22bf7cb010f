import type { DelayLevel } from '../../model/delay-level.ts';
import type { RetryDelay } from '../../model/source.ts';

/** What is to become of a message that failed. */
export type Redelivery =
  /** Level 3 + its failures so far, as brokers decide it. */
  | { readonly kind: 'auto' }
  /** 1..18 of the broker's messageDelayLevel. */
  | { readonly kind: 'level'; readonly level: number }
  /** Whole seconds, 0..LONGEST_DELAY_SECONDS. */
  | { readonly kind: 'seconds'; readonly seconds: number }
  /** To the dead-letter queue, whatever its retries. */
  | { readonly kind: 'dlq' }
  /** Given up: done. */
  | { readonly kind: 'drop' };

/** timerMaxDelaySec of a stock broker. */
export const LONGEST_DELAY_SECONDS = 3 * 24 * 3600;
/** maxReconsumeTimes of a message without a limit: as far as the protocol counts. */
export const UNLIMITED_RECONSUME_TIMES = 0x7fffffff;
export const HIGHEST_LEVEL = 18;

/** messageDelayLevel of a stock broker, in seconds, level 1 first. */
const LEVEL_SECONDS: readonly number[] = [
  1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
];

/**
 * What its handler said of a failed message, or, when it said nothing, what the event's options say.
 * @param failures of the message, this one included
 * @param random 0 ≤ r < 1
 */
export function orDefault(
  said: Redelivery | 'default',
  delay: RetryDelay | undefined,
  failures: number,
  random: number,
): Redelivery {
  if (said !== 'default') return said;
  if (delay === undefined) return { kind: 'auto' };
  if ('level' in delay) return { kind: 'level', level: delay.level };
  if ('seconds' in delay) return { kind: 'seconds', seconds: delay.seconds };
  const step = Math.min(delay.max, delay.base * 2 ** Math.min(failures - 1, 30));
  return { kind: 'seconds', seconds: Math.round(step * (1 - delay.jitter * random)) };
}

/** The level that waits exactly so long on a stock broker. */
export function exactLevel(seconds: number): number | undefined {
  const index = LEVEL_SECONDS.indexOf(seconds);
  return index < 0 ? undefined : index + 1;
}

/** The smallest level that is not shorter; the longest one when none is long enough. */
export function levelNotShorter(seconds: number): number {
  const index = LEVEL_SECONDS.findIndex((level) => level >= seconds);
  return index < 0 ? LEVEL_SECONDS.length : index + 1;
}

/** A redelivery in the broker's terms. */
export function wireLevel(redelivery: Exclude<Redelivery, { kind: 'drop' }>): DelayLevel {
  switch (redelivery.kind) {
    case 'auto':
      return 'broker-decides';
    case 'level':
      return redelivery.level;
    case 'seconds':
      return levelNotShorter(redelivery.seconds);
    case 'dlq':
      return 'dead-letter';
  }
}

/** Level of the first retry when the broker decides. */
const FIRST_RETRY_LEVEL = 3;

/**
 * How long a message waits for its next delivery when the broker does not take it back: as long as it would have waited at a stock broker.
 * @param failures of the message, this one included
 * @returns milliseconds, not below `minMs`
 */
export function localDelayMs(
  redelivery: Exclude<Redelivery, { kind: 'dlq' | 'drop' }>,
  failures: number,
  minMs: number,
): number {
  const levelSeconds = (level: number): number =>
    LEVEL_SECONDS[Math.min(Math.max(level, 1), LEVEL_SECONDS.length) - 1] as number;
  switch (redelivery.kind) {
    case 'auto':
      return Math.max(minMs, levelSeconds(FIRST_RETRY_LEVEL + failures - 1) * 1000);
    case 'level':
      return Math.max(minMs, levelSeconds(redelivery.level) * 1000);
    case 'seconds':
      return Math.max(minMs, redelivery.seconds * 1000);
  }
}
