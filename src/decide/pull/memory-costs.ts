import { ENTRY_BYTES } from '../../model/message.ts';

/*
 * What messages take in memory, in bytes. Measured with bench/message-cost.ts on Node 24: properties
 * that were read take 50 (names of one character) to 190 (27 characters) each, with their text.
 */
const PROPERTY_BYTES = 160;
/** The text of properties, at two bytes per character. */
const PROPERTY_TEXT_COPIES = 2;
/** A stored record without body and properties. */
const MIN_RECORD_BYTES = 91;

/** A body that is not compressed is a view of its answer: only the text comes on top, at two bytes per character. */
const TEXT_COPIES = 2;
/**
 * What an event takes beside bodies and texts, by what it is for. For Lambda: JSON, a payload and a request body. In
 * base64, for a handler in this process: the bytes and their base64.
 */
const EVENT_COPIES = { lambda: 4, pointer: 4, base64: 3, text: 0 } as const;
/** `pointer`: for Lambda, with the body in S3 where it is larger than `s3PointerThreshold`. */
export type EventUse = keyof typeof EVENT_COPIES;
/** A record without the body. */
const RECORD_BYTES = 4096;
/** Lambda's limit of an event, about. */
const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;
/** Parsed, JSON takes this much for each of its bytes: 2 for objects with text, 13 to 21 for nothing but `[]` or `{}`, 28 for `[[[`. */
const JSON_COPIES = 28;

/** The part of a message that decides what it takes. */
export interface Weighed {
  readonly storeSize: number;
  readonly body: { readonly length: number };
  readonly propertyBytes?: number | undefined;
  readonly propertyCount?: number | undefined;
}

/** What is kept of a message beside its answer. */
export function entryCost({ propertyBytes = 0, propertyCount = 0 }: Partial<Weighed> = {}): number {
  return ENTRY_BYTES + propertyCount * PROPERTY_BYTES + propertyBytes * PROPERTY_TEXT_COPIES;
}

/**
 * What an answer takes: its bytes, and what is kept of each message beside them. Messages of an inner batch are views
 * of its decompressed body, which comes on top.
 * @param undecodable records that could not be decoded
 */
export function answerCost(bytes: number, messages: readonly Weighed[], undecodable = 0): number {
  let cost = bytes + undecodable * ENTRY_BYTES;
  for (const message of messages)
    cost += entryCost(message) + (message.storeSize === 0 ? message.body.length : 0);
  return cost;
}

/**
 * What an answer may take, before it is read.
 * @param bytes of its body
 * @param asked messages that were asked for
 */
export function unreadCost(bytes: number, asked: number): number {
  return bytes + Math.min(asked, Math.ceil(bytes / MIN_RECORD_BYTES)) * ENTRY_BYTES;
}

/** What a body takes whose message is delivered as it came. */
export function deliveryCost(message: Omit<Weighed, 'storeSize'>, use: EventUse): number {
  const { length } = message.body;
  return recordCost(message) + textBytes(length * TEXT_COPIES, use) + eventCost(length, use);
}

/** @param text bytes that the body takes as a text */
export function openedCost(
  message: Omit<Weighed, 'storeSize'>,
  text: number,
  use: EventUse,
): number {
  const { length } = message.body;
  return recordCost(message) + length + textBytes(text, use) + eventCost(length, use);
}

/** The largest body of ASCII that may be decompressed within so many bytes. */
export function bodyWithin(bytes: number, use: EventUse): number {
  const free = Math.max(0, bytes - RECORD_BYTES);
  const isCapped = use === 'lambda' || use === 'pointer';
  const small = free / (2 + EVENT_COPIES[use]);
  if (!isCapped || small <= MAX_PAYLOAD_BYTES) return Math.floor(small);
  const event = EVENT_COPIES[use] * MAX_PAYLOAD_BYTES;
  const large =
    use === 'pointer' ? (free - event) / 2 : free - event - TEXT_COPIES * MAX_PAYLOAD_BYTES;
  return Math.floor(Math.max(MAX_PAYLOAD_BYTES, large));
}

/** What JSON takes at most while it is parsed, beside its text. */
export function parsedCost(jsonBytes: number): number {
  return jsonBytes * JSON_COPIES;
}

/** Properties stand in the record again, as attributes of the event. */
function recordCost({ propertyBytes = 0, propertyCount = 0 }: Partial<Weighed>): number {
  return RECORD_BYTES + propertyCount * PROPERTY_BYTES + propertyBytes * PROPERTY_TEXT_COPIES;
}

/** A body that fits into no payload does not become a text. */
function textBytes(text: number, use: EventUse): number {
  return use === 'lambda' ? Math.min(text, TEXT_COPIES * MAX_PAYLOAD_BYTES) : text;
}

/** A body that fits into no payload does not become one. */
function eventCost(bodyBytes: number, use: EventUse): number {
  const bytes =
    use === 'lambda' || use === 'pointer' ? Math.min(bodyBytes, MAX_PAYLOAD_BYTES) : bodyBytes;
  return EVENT_COPIES[use] * bytes;
}
