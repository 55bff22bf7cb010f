/*
 * Producers, brokers and handlers choose texts that stand in fields of the log. What is cut here needs no cut at its caller.
 */

const MAX_TEXT = 1_000;
/** Handlers' error texts are cut before, as `logging.errorLength` says: 10,000 at most. */
const MAX_ERROR_TEXT = 10_000;
const MAX_KEY = 200;
const MAX_ENTRIES = 100;
const MAX_DEPTH = 6;
const ERROR_TEXTS: ReadonlySet<string> = new Set(['errorMessage']);
/** A message that nothing else takes: its line has its content, which is bounded where it is made (records/dead-letter-form). */
const CONTENT: ReadonlySet<string> = new Set(['bodyBase64', 'properties']);
const DISCARDED = 'ROCKETMQ_MESSAGE_DISCARDED';

/** Fields of a line of the log, each with a bound. Errors stay as they are: their serializer bounds them. */
export function boundedFields(fields: object): Record<string, unknown> {
  const isDiscarded = 'code' in fields && fields.code === DISCARDED;
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      boundedText(key, MAX_KEY),
      isDiscarded && CONTENT.has(key) ? value : boundedValue(value, maxText(key), 1),
    ]),
  );
}

/** The start of a text, and how long it is. */
export function boundedText(text: string, maxLength: number): string {
  return text.length <= maxLength
    ? text
    : `${text.slice(0, maxLength)}… (${text.length} characters)`;
}

function maxText(key: string): number {
  return ERROR_TEXTS.has(key) ? MAX_ERROR_TEXT : MAX_TEXT;
}

function boundedValue(value: unknown, maxLength: number, depth: number): unknown {
  if (typeof value === 'string') return boundedText(value, maxLength);
  if (typeof value !== 'object' || value === null || value instanceof Error) return value;
  if (depth > MAX_DEPTH) return '…';
  if (Array.isArray(value)) {
    const kept = value
      .slice(0, MAX_ENTRIES)
      .map((item) => boundedValue(item, maxLength, depth + 1));
    return value.length > MAX_ENTRIES ? [...kept, `… (${value.length} entries)`] : kept;
  }
  // Dates and the like write themselves.
  if ('toJSON' in value) return value;
  const entries = Object.entries(value);
  const kept = entries
    .slice(0, MAX_ENTRIES)
    .map(([key, item]) => [boundedText(key, MAX_KEY), boundedValue(item, maxText(key), depth + 1)]);
  if (entries.length > MAX_ENTRIES) kept.push(['…', `${entries.length} entries`]);
  return Object.fromEntries(kept);
}
