/** The year 10,000, which neither RFC 3339 nor ISO 8601 with four digits can write. */
const END_OF_TIME = 253_402_300_800_000;

/** Can the time, epoch ms, be written with a year of four digits from 1970 on? */
export function isInCalendar(epochMs: number): boolean {
  return epochMs >= 0 && epochMs < END_OF_TIME;
}

/** ISO 8601. A time that the calendar does not have is written as the nearest one that it has. */
export function isoTime(epochMs: number): string {
  const nearest = Number.isNaN(epochMs) ? 0 : Math.min(Math.max(epochMs, 0), END_OF_TIME - 1);
  return new Date(nearest).toISOString();
}
