import type { OutgoingMessage } from '../ports/rocketmq.ts';
import {
  fields,
  filledText,
  optional,
  refuse,
  text,
  valuesOf,
  wholeNumber,
} from './check-values.ts';

/** A message as the wire takes it. */
export interface CheckedMessage extends OutgoingMessage {
  readonly body: Buffer;
  readonly keys?: readonly string[];
}

const checkFields = fields(
  {
    topic: filledText,
    body: (value, place) => {
      if (typeof value !== 'string' && !isBytes(value))
        refuse(value, place, 'a string (sent as UTF-8), a Buffer or a Uint8Array');
    },
    properties: optional(valuesOf(text, 'an object or a Map of strings')),
    tags: optional(text),
    keys: optional((value, place) => {
      if (typeof value === 'string') return;
      if (!Array.isArray(value)) refuse(value, place, 'a string or a list of strings');
      for (const [index, key] of value.entries()) text(key, `${place}[${index}]`);
    }),
    shardingKey: optional(text),
    flag: optional(wholeNumber(-(2 ** 31), 2 ** 31 - 1)),
  },
  'an object with topic and body',
);

/** @throws ConfigError that names the field */
export function checkMessage(message: OutgoingMessage, place = 'message'): CheckedMessage {
  checkFields(message, place);
  const { body, keys, ...rest } = message;
  return {
    ...rest,
    body: bytesOf(body),
    ...(keys === undefined ? {} : { keys: typeof keys === 'string' ? [keys] : keys }),
  };
}

/** @throws ConfigError that names the message's place and the field */
export function checkMessages(messages: readonly OutgoingMessage[]): CheckedMessage[] {
  if (!Array.isArray(messages)) refuse(messages, 'messages', 'a list of messages');
  return (messages as readonly OutgoingMessage[]).map((message, index) =>
    checkMessage(message, `messages[${index}]`),
  );
}

/** Uint8Array and Buffer, also of another realm: no other typed array, whose bytes depend on the machine. */
function isBytes(value: unknown): value is Uint8Array {
  return Object.prototype.toString.call(value) === '[object Uint8Array]';
}

function bytesOf(body: string | Uint8Array): Buffer {
  if (typeof body === 'string') return Buffer.from(body, 'utf8');
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}
