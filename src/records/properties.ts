/** Names of message properties that clients or brokers give a meaning. Mirrors MessageConst; keys are the names where they can be. */
export const Property = {
  KEYS: 'KEYS',
  TAGS: 'TAGS',
  WAIT: 'WAIT',
  DELAY: 'DELAY',
  UNIQ_KEY: 'UNIQ_KEY',
  EXTEND_UNIQ_INFO: 'EXTEND_UNIQ_INFO',
  RETRY_TOPIC: 'RETRY_TOPIC',
  REAL_TOPIC: 'REAL_TOPIC',
  REAL_QID: 'REAL_QID',
  ORIGIN_MESSAGE_ID: 'ORIGIN_MESSAGE_ID',
  RECONSUME_TIME: 'RECONSUME_TIME',
  MAX_RECONSUME_TIMES: 'MAX_RECONSUME_TIMES',
  CONSUME_START_TIME: 'CONSUME_START_TIME',
  MIN_OFFSET: 'MIN_OFFSET',
  MAX_OFFSET: 'MAX_OFFSET',
  TRAN_MSG: 'TRAN_MSG',
  PGROUP: 'PGROUP',
  TRAN_PREPARED_QUEUE_OFFSET: 'TRAN_PREPARED_QUEUE_OFFSET',
  TRANSACTION_CHECK_TIMES: 'TRANSACTION_CHECK_TIMES',
  CHECK_IMMUNITY_TIME_IN_SECONDS: 'CHECK_IMMUNITY_TIME_IN_SECONDS',
  MSG_REGION: 'MSG_REGION',
  TRACE_ON: 'TRACE_ON',
  CLUSTER: 'CLUSTER',
  INSTANCE_ID: 'INSTANCE_ID',
  TIMER_DELAY_SEC: 'TIMER_DELAY_SEC',
  TIMER_DELAY_MS: 'TIMER_DELAY_MS',
  TIMER_DELIVER_MS: 'TIMER_DELIVER_MS',
  TIMER_OUT_MS: 'TIMER_OUT_MS',
  TIMER_ENQUEUE_MS: 'TIMER_ENQUEUE_MS',
  TIMER_DEQUEUE_MS: 'TIMER_DEQUEUE_MS',
  TIMER_ROLL_TIMES: 'TIMER_ROLL_TIMES',
  TIMER_DEL_UNIQKEY: 'TIMER_DEL_UNIQKEY',
  TIMER_DELAY_LEVEL: 'TIMER_DELAY_LEVEL',
  POP_CK: 'POP_CK',
  POP_CK_OFFSET: 'POP_CK_OFFSET',
  INNER_NUM: 'INNER_NUM',
  INNER_BASE: 'INNER_BASE',
  INNER_MULTI_DISPATCH: 'INNER_MULTI_DISPATCH',
  INNER_MULTI_QUEUE_OFFSET: 'INNER_MULTI_QUEUE_OFFSET',
  CORRELATION_ID: 'CORRELATION_ID',
  REPLY_TO_CLIENT: 'REPLY_TO_CLIENT',
  TTL: 'TTL',
  ARRIVE_TIME: 'ARRIVE_TIME',
  PUSH_REPLY_TIME: 'PUSH_REPLY_TIME',
  MSG_TYPE: 'MSG_TYPE',
  DLQ_ORIGIN_TOPIC: 'DLQ_ORIGIN_TOPIC',
  DLQ_ORIGIN_MESSAGE_ID: 'DLQ_ORIGIN_MESSAGE_ID',
  BUYER_ID: 'BUYER_ID',
  TRANSFER_FLAG: 'TRANSFER_FLAG',
  CORRECTION_FLAG: 'CORRECTION_FLAG',
  MQ2_FLAG: 'MQ2_FLAG',
  DUP_INFO: 'DUP_INFO',
  REDIRECT: 'REDIRECT',
  PROPERTY_FORWARD_QUEUE_ID: 'PROPERTY_FORWARD_QUEUE_ID',
  TRACE_CONTEXT: 'TRACE_CONTEXT',
  BORN_TIMESTAMP: 'BORN_TIMESTAMP',
  TRANSACTION_ID: '__transactionId__',
  SHARDING_KEY: '__SHARDINGKEY',
  FIRST_POP_TIME: '1ST_POP_TIME',
  /** Of ours, on retries that are sent as messages: epoch ms, when a broker stored the message first. */
  FIRST_STORED: 'SERVERLESS_FIRST_STORED_MS',
  /** Of ours, on retries that were stored again without a delivery: how often, and when last (epoch ms). */
  SET_ASIDE: 'SERVERLESS_SET_ASIDE',
  BORN_HOST: '__BORNHOST',
  CRC32: '__CRC32#',
} as const;

/** Names of this prefix are taken off before a message is stored. */
const TRANSIENT_PREFIX = '__RMQ.TRANSIENT.';
const SYSTEM_PROPERTIES: ReadonlySet<string> = new Set(Object.values(Property));

/** True for a name that belongs to RocketMQ: whatever else a message carries is the user's. */
export function isSystemProperty(name: string): boolean {
  return SYSTEM_PROPERTIES.has(name) || name.startsWith(TRANSIENT_PREFIX);
}

const NAME_VALUE_SEPARATOR = '\u0001';
const PROPERTY_SEPARATOR = '\u0002';
const SHORTEST_PROPERTY = 3;

/**
 * Reads `name 01 value 02 …`: segments under three characters, empty names and empty values are
 * passed over, later ones win. Mirrors MessageDecoder.string2messageProperties, but for UNIQ_KEY:
 * brokers 5.0 to 5.4 store the key of a Java batch behind the message's own one, so the first wins.
 */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  let separator = -1;
  for (let start = 0; start < text.length; ) {
    const end = indexOrEnd(text, PROPERTY_SEPARATOR, start);
    if (end - start >= SHORTEST_PROPERTY) {
      // Searched again only when passed: a text without separators would cost quadratic time.
      if (separator < start) separator = indexOrEnd(text, NAME_VALUE_SEPARATOR, start);
      if (separator > start && separator < end - 1) {
        const name = text.slice(start, separator);
        if (name !== Property.UNIQ_KEY || !properties.has(name))
          properties.set(name, text.slice(separator + 1, end));
      }
    }
    start = end + 1;
  }
  return properties;
}

/** How many properties the bytes have at most; nothing is read. */
export function countProperties(bytes: Uint8Array): number {
  let count = bytes.length === 0 ? 0 : 1;
  const separator = PROPERTY_SEPARATOR.charCodeAt(0);
  // Properties are short: calls of indexOf, or an iterator, would take longer.
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === separator) count++;
  return count;
}

/** The last UNIQ_KEY, which brokers and Java's clients read. Undefined: it is the first one. */
export function otherUniqKey(text: string): string | undefined {
  const prefix = Property.UNIQ_KEY + NAME_VALUE_SEPARATOR;
  const keys = text
    .split(PROPERTY_SEPARATOR)
    .filter((property) => property.startsWith(prefix) && property.length > prefix.length)
    .map((property) => property.slice(prefix.length));
  const last = keys.at(-1);
  return last === keys[0] ? undefined : last;
}

function indexOrEnd(text: string, search: string, from: number): number {
  const found = text.indexOf(search, from);
  return found === -1 ? text.length : found;
}

/** The reverse. Empty values cannot be told and are left out. Mirrors MessageDecoder.messageProperties2String. */
export function formatProperties(
  properties: ReadonlyMap<string, string> | Readonly<Record<string, string>>,
): string {
  const entries =
    properties instanceof Map
      ? properties.entries()
      : Object.entries(properties as Record<string, string>);
  let text = '';
  for (const [name, value] of entries)
    if (value !== '') text += name + NAME_VALUE_SEPARATOR + value + PROPERTY_SEPARATOR;
  return text;
}

/** True when a name or value contains one of the two separators, which nothing escapes. */
export function hasSeparator(text: string): boolean {
  return text.includes(NAME_VALUE_SEPARATOR) || text.includes(PROPERTY_SEPARATOR);
}

/** True when a value contains the separator that ends a property. */
export function endsProperty(value: string): boolean {
  return value.includes(PROPERTY_SEPARATOR);
}
