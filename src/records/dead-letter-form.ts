import { deflateSync } from 'node:zlib';
import type { DeadLetter, Message, UndecodableRecord } from '../model/message.ts';
import { formatProperties, isSystemProperty, Property } from './properties.ts';
import { SystemFlag } from './system-flag.ts';

/** `true` on a dead letter whose message has an empty body, which brokers of 5.x do not take: the body is EMPTY_BODY_PLACEHOLDER. */
export const BODY_PLACEHOLDER_PROPERTY = 'DLQ_BODY_PLACEHOLDER';
/** Names of the properties that a dead letter lost because a broker does not take as many bytes, divided by blanks. */
export const DROPPED_PROPERTIES_PROPERTY = 'DLQ_DROPPED_PROPERTIES';
/** On the raw record of a message that cannot be decoded: why. */
export const UNDECODABLE_PROPERTY = 'DLQ_UNDECODABLE';
export const EMPTY_BODY_PLACEHOLDER = Buffer.from('(empty body)');

/** Brokers refuse more than 32,767 bytes, and add properties of their own. */
const MAX_PROPERTY_BYTES = 30_000;
/** Of DROPPED_PROPERTIES_PROPERTY: names may be long, too. */
const MAX_DROPPED_CHARACTERS = 1_024;
const MAX_TEXT_CHARACTERS = 512;
/** Larger bodies are compressed: a body that was stored compressed may be above the broker's maxMessageSize without it. */
const COMPRESS_OVER_BYTES = 1024 * 1024;

/** What brokers and consumers need to know of a dead letter; it is dropped only when nothing else is left to drop. */
const KEPT_LONGEST: ReadonlySet<string> = new Set([
  Property.RETRY_TOPIC,
  Property.ORIGIN_MESSAGE_ID,
  Property.DLQ_ORIGIN_TOPIC,
  Property.DLQ_ORIGIN_MESSAGE_ID,
  Property.UNIQ_KEY,
  BODY_PLACEHOLDER_PROPERTY,
  UNDECODABLE_PROPERTY,
]);

/**
 * What an earlier send left. With its delay or timer a dead letter would come late, or nowhere;
 * with the mark of a batch brokers refuse a message.
 */
const EARLIER_SEND: ReadonlySet<string> = new Set(
  Object.values(Property).filter(
    (name) =>
      name.startsWith('TIMER_') ||
      name === Property.DELAY ||
      name === Property.REAL_TOPIC ||
      name === Property.REAL_QID ||
      name === Property.INNER_NUM ||
      name === Property.INNER_BASE,
  ),
);

/** Where a message came from. */
export interface Origin {
  readonly topic: string;
  readonly messageId: string;
}

/**
 * Body and properties in a form that every broker takes: a placeholder for an empty body, the largest of the user's properties dropped (with their
 * names in DROPPED_PROPERTIES_PROPERTY) until the rest fits. A message that fits stays as it is.
 */
export function fittingForm(
  body: Buffer,
  properties: ReadonlyMap<string, string>,
): { readonly body: Buffer; readonly properties: ReadonlyMap<string, string> } {
  const fitting = new Map(properties);
  if (body.length === 0) fitting.set(BODY_PLACEHOLDER_PROPERTY, 'true');
  dropLargest(fitting);
  return { body: body.length === 0 ? EMPTY_BODY_PLACEHOLDER : body, properties: fitting };
}

/**
 * The dead letter of a message. `ORIGIN` facts and the count of failures are kept, delays are not.
 * @param failures failed deliveries before the last one
 */
export function deadLetterOf(message: Message, origin: Origin, failures: number): DeadLetter {
  const properties = new Map(message.properties);
  for (const name of EARLIER_SEND) properties.delete(name);
  setOrigin(properties, origin);
  const fitting = fittingForm(message.body, properties);
  const compressed =
    fitting.body.length > COMPRESS_OVER_BYTES ? deflateSync(fitting.body, { level: 1 }) : undefined;
  const isSmaller = compressed !== undefined && compressed.length < fitting.body.length;
  return {
    brokerName: message.brokerName,
    topic: message.topic,
    msgId: message.msgId,
    reconsumeTimes: failures,
    flag: message.flag,
    sysFlag: isSmaller ? SystemFlag.COMPRESSED : 0,
    body: isSmaller ? compressed : fitting.body,
    properties: fitting.properties,
  };
}

/** A record that cannot be decoded, as a message: its stored bytes are the body. */
export function undecodableMessage(
  record: UndecodableRecord,
  { brokerName, topic }: { readonly brokerName: string; readonly topic: string },
): Message {
  const { queueId, queueOffset, commitLogOffset, reconsumeTimes, offsetMsgId = '' } = record;
  const known = knownFacts(record);
  const body = record.stored ?? Buffer.alloc(0);
  const unknownHost = { address: '0.0.0.0', port: 0 };
  return {
    topic,
    brokerName,
    queueId,
    queueOffset,
    commitLogOffset,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 0,
    bornHost: unknownHost,
    storeTimestamp: 0,
    storeHost: unknownHost,
    reconsumeTimes,
    preparedTransactionOffset: 0n,
    bodyCRC: 0,
    storeSize: body.length,
    body,
    offsetMsgId,
    msgId: offsetMsgId,
    ...known,
    properties: new Map([
      ...(known?.properties ?? []),
      [UNDECODABLE_PROPERTY, withoutSeparators(record.error.message)],
    ]),
  };
}

/** What a dead letter keeps of a message whose body cannot be read. undefined: nothing more is known, or the properties cannot be read either. */
function knownFacts({ unopened }: UndecodableRecord): Partial<Message> | undefined {
  if (unopened === undefined) return undefined;
  try {
    const { topic, flag, bornTimestamp, bornHost, storeTimestamp, storeHost, properties, msgId } =
      unopened;
    return { topic, flag, bornTimestamp, bornHost, storeTimestamp, storeHost, properties, msgId };
  } catch {
    return undefined;
  }
}

function setOrigin(properties: Map<string, string>, { topic, messageId }: Origin): void {
  for (const [name, value] of [
    [Property.RETRY_TOPIC, topic],
    [Property.DLQ_ORIGIN_TOPIC, topic],
  ] as const)
    properties.set(name, value);
  if (messageId === '') return;
  properties.set(Property.ORIGIN_MESSAGE_ID, messageId);
  properties.set(Property.DLQ_ORIGIN_MESSAGE_ID, messageId);
}

function withoutSeparators(text: string): string {
  return (
    text.replaceAll('\u0001', '').replaceAll('\u0002', '').slice(0, MAX_TEXT_CHARACTERS) ||
    'unknown'
  );
}

/** The user's properties first, then the system's, the largest first. */
function dropLargest(properties: Map<string, string>): void {
  const bytesOf = (name: string, value: string): number =>
    Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
  let bytes = Buffer.byteLength(formatProperties(properties));
  if (bytes <= MAX_PROPERTY_BYTES) return;
  const rank = (name: string): number =>
    KEPT_LONGEST.has(name) ? 2 : isSystemProperty(name) ? 1 : 0;
  const candidates = [...properties]
    .map(([name, value]) => ({ name, rank: rank(name), bytes: bytesOf(name, value) }))
    .sort((a, b) => a.rank - b.rank || b.bytes - a.bytes);
  const dropped: string[] = [];
  for (const candidate of candidates) {
    if (bytes + MAX_DROPPED_CHARACTERS <= MAX_PROPERTY_BYTES) break;
    properties.delete(candidate.name);
    bytes -= candidate.bytes;
    dropped.push(candidate.name);
  }
  properties.set(
    DROPPED_PROPERTIES_PROPERTY,
    withoutSeparators(dropped.join(' ')).slice(0, MAX_TEXT_CHARACTERS),
  );
}

/** Bytes of a message that its last log line carries. */
const MAX_LOGGED_BYTES = 64 * 1024;

/** The content of a message for its last log line: the body in base64 and its properties, cut where they are larger than 64 KiB together. */
export function loggedContent(
  body: Buffer,
  properties: ReadonlyMap<string, string>,
): {
  readonly bodyBase64: string;
  readonly bodyBytes: number;
  readonly properties: Readonly<Record<string, string>>;
  readonly cut: boolean;
} {
  const kept: [string, string][] = [];
  // At least half for the body.
  const bytesForProperties = Math.max(MAX_LOGGED_BYTES / 2, MAX_LOGGED_BYTES - body.length);
  let propertyBytes = 0;
  for (const [name, value] of properties) {
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value);
    if (propertyBytes + bytes > bytesForProperties) continue;
    kept.push([name, value]);
    propertyBytes += bytes;
  }
  const cutBody = body.subarray(0, MAX_LOGGED_BYTES - propertyBytes);
  return {
    bodyBase64: cutBody.toString('base64'),
    bodyBytes: body.length,
    properties: Object.fromEntries(kept),
    cut: cutBody.length < body.length || kept.length < properties.size,
  };
}
