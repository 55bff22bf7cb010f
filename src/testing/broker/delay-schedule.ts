import type { MessageStore, MessageToStore, StoredMessage } from './message-store.ts';
import { SCHEDULE_TOPIC } from './names.ts';

/** RocketMQ's default: levels 1..18. */
export const DEFAULT_DELAY_LEVELS = '1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h';

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of each level of a `messageDelayLevel` text. */
export function parseDelayLevels(text: string): number[] {
  return text
    .trim()
    .split(/\s+/)
    .map((level) => {
      const [, count, unit] = /^(\d+)([smhd])$/.exec(level) ?? [];
      if (count === undefined || unit === undefined)
        throw new TypeError(
          `messageDelayLevel "${text}": write numbers with s, m, h or d, like "1s 5s 10s"`,
        );
      return Number(count) * (UNITS[unit] ?? 0);
    });
}

/** A parked message as it goes on to its real topic. DELAY stays in its properties, as with the real broker. */
function released(message: StoredMessage): MessageToStore {
  return {
    ...message,
    topic: message.properties.get('REAL_TOPIC') ?? '',
    queueId: Number(message.properties.get('REAL_QID') ?? 0),
  };
}

/**
 * Delivers parked messages when their time has come, level by level in order. Mirrors ScheduleMessageService, which looks every 100 ms too.
 * Where each level stands survives a restart.
 */
export function createDelaySchedule(
  store: Pick<MessageStore, 'at' | 'append'>,
  delayLevels: readonly number[],
): { tick(now: number): void } {
  const nextOffset = delayLevels.map(() => 0);

  return {
    tick(now) {
      delayLevels.forEach((delay, level) => {
        for (;;) {
          const parked = store.at(SCHEDULE_TOPIC, level, nextOffset[level] ?? 0);
          if (parked === undefined || parked.storeTimestamp + delay > now) return;
          nextOffset[level] = parked.queueOffset + 1;
          store.append(released(parked));
        }
      });
    },
  };
}
