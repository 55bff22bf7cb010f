/** Names of message properties with a meaning. Mirrors MessageConst. */
export const Property = {
  KEYS: 'KEYS',
  TAGS: 'TAGS',
  WAIT: 'WAIT',
  DELAY: 'DELAY',
  UNIQ_KEY: 'UNIQ_KEY',
  RETRY_TOPIC: 'RETRY_TOPIC',
  REAL_TOPIC: 'REAL_TOPIC',
  REAL_QID: 'REAL_QID',
  ORIGIN_MESSAGE_ID: 'ORIGIN_MESSAGE_ID',
  RECONSUME_TIME: 'RECONSUME_TIME',
  MAX_RECONSUME_TIMES: 'MAX_RECONSUME_TIMES',
  TRAN_MSG: 'TRAN_MSG',
  MSG_REGION: 'MSG_REGION',
  TRACE_ON: 'TRACE_ON',
  CLUSTER: 'CLUSTER',
  SHARDING_KEY: '__SHARDINGKEY',
  INNER_NUM: 'INNER_NUM',
} as const;

/** Every name that MessageConst reserves (STRING_HASH_SET): whatever else a message carries is the user's. */
const SYSTEM_PROPERTIES: ReadonlySet<string> = new Set([
  ...Object.values(Property),
  ...[
    'PGROUP',
    'MIN_OFFSET',
    'MAX_OFFSET',
    'BUYER_ID',
    'TRANSFER_FLAG',
    'CORRECTION_FLAG',
    'MQ2_FLAG',
    'EXTEND_UNIQ_INFO',
    'CONSUME_START_TIME',
  ],
  ...[
    'TRAN_PREPARED_QUEUE_OFFSET',
    'TRANSACTION_CHECK_TIMES',
    'CHECK_IMMUNITY_TIME_IN_SECONDS',
    '__transactionId__',
    'INSTANCE_ID',
    'DUP_INFO',
  ],
  ...[
    'CORRELATION_ID',
    'REPLY_TO_CLIENT',
    'TTL',
    'ARRIVE_TIME',
    'PUSH_REPLY_TIME',
    'MSG_TYPE',
    'INNER_BASE',
    'INNER_MULTI_DISPATCH',
    'INNER_MULTI_QUEUE_OFFSET',
  ],
  ...[
    'POP_CK',
    'POP_CK_OFFSET',
    '1ST_POP_TIME',
    'TIMER_DELAY_SEC',
    'TIMER_DELAY_MS',
    'TIMER_DELIVER_MS',
    'TIMER_OUT_MS',
    'TIMER_ENQUEUE_MS',
    'TIMER_DEQUEUE_MS',
  ],
  ...[
    'TIMER_ROLL_TIMES',
    'TIMER_DEL_UNIQKEY',
    'TIMER_DELAY_LEVEL',
    'DLQ_ORIGIN_TOPIC',
    'DLQ_ORIGIN_MESSAGE_ID',
    'REDIRECT',
    'PROPERTY_FORWARD_QUEUE_ID',
  ],
  ...['TRACE_CONTEXT', '__BORNHOST', 'BORN_TIMESTAMP', '__CRC32#'],
]);

export function isSystemProperty(name: string): boolean {
  return SYSTEM_PROPERTIES.has(name);
}

const NAME_VALUE_SEPARATOR = '\u0001';
const PROPERTY_SEPARATOR = '\u0002';
const SHORTEST_PROPERTY = 3;

/** Reads `name 01 value 02 …`: segments under three characters, empty names and empty values are passed over, later ones win. Mirrors MessageDecoder.string2messageProperties. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  let separator = -1;
  for (let start = 0; start < text.length; ) {
    const end = indexOrEnd(text, PROPERTY_SEPARATOR, start);
    if (end - start >= SHORTEST_PROPERTY) {
      // Searched again only when passed: a text without separators would cost quadratic time.
      if (separator < start) separator = indexOrEnd(text, NAME_VALUE_SEPARATOR, start);
      if (separator > start && separator < end - 1) properties.set(text.slice(start, separator), text.slice(separator + 1, end));
    }
    start = end + 1;
  }
  return properties;
}

function indexOrEnd(text: string, search: string, from: number): number {
  const found = text.indexOf(search, from);
  return found === -1 ? text.length : found;
}

/** The reverse. Empty values cannot be told and are left out. Mirrors MessageDecoder.messageProperties2String. */
export function formatProperties(properties: ReadonlyMap<string, string> | Readonly<Record<string, string>>): string {
  const entries = properties instanceof Map ? properties.entries() : Object.entries(properties as Record<string, string>);
  let text = '';
  for (const [name, value] of entries) if (value !== '') text += name + NAME_VALUE_SEPARATOR + value + PROPERTY_SEPARATOR;
  return text;
}

/** True when a name or value contains one of the two separators, which nothing escapes. */
export function hasSeparator(text: string): boolean {
  return text.includes(NAME_VALUE_SEPARATOR) || text.includes(PROPERTY_SEPARATOR);
}
