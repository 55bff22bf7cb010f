/** Java's default limit. Where there is none, or a higher one, a message that failed so often is delivered alone from then on. */
const ALONE_AFTER = 16;
/** Ages of two deliveries in a row differ by this factor at most, with the delays of brokers: 10 s, 40 s, 100 s, … */
const AGE_STEP = 4;

/** What is known of a message before one more delivery. */
export interface DeliveredBefore {
  /** Failed deliveries. */
  readonly failures: number;
  /** Redeliveries before it has failed for good. */
  readonly maxFailures: number;
  /** Since it was first stored. */
  readonly ageMs: number;
  /** `maximumRecordAgeInSeconds`; undefined: any age is allowed. */
  readonly maxAgeMs: number | undefined;
}

/**
 * Is a message that failed before delivered without others, because this delivery may be its last one?
 * A tool that always fails whole batches does not take good messages with a bad one then.
 */
export function goesAlone({ failures, maxFailures, ageMs, maxAgeMs }: DeliveredBefore): boolean {
  if (failures === 0) return false;
  if (failures >= Math.min(maxFailures, ALONE_AFTER)) return true;
  return maxAgeMs !== undefined && ageMs >= maxAgeMs / AGE_STEP;
}
