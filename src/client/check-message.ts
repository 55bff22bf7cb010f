import { isUint8Array } from 'node:util/types';
import type { OutgoingMessage } from '../ports/rocketmq.ts';
import {
  entriesOf,
  fields,
  listOf,
  optional,
  refuse,
  rocketmqName,
  text,
  wholeNumber,
} from './check-values.ts';

/** A message as the wire takes it. */
export interface CheckedMessage extends OutgoingMessage {
  readonly body: Buffer;
  readonly keys?: readonly string[];
}

const keyList = listOf(text, 'strings');

const checkFields = fields(
  {
    topic: rocketmqName,
    body: (value, place) => {
      // Of any realm; no other typed array, whose bytes depend on the machine.
      if (typeof value !== 'string' && !isUint8Array(value))
        refuse(value, place, 'a string (sent as UTF-8), a Buffer or a Uint8Array');
    },
    properties: optional(entriesOf(text, 'an object or a Map of strings')),
    tags: optional(text),
    keys: optional((value, place) => {
      if (typeof value === 'string') return;
      if (!Array.isArray(value)) refuse(value, place, 'a string or a list of strings');
      keyList(value, place);
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
  if (messages.length === 0) refuse(undefined, 'messages', 'at least one message');
  return Array.from(messages as readonly OutgoingMessage[], (message, index) =>
    checkMessage(message, `messages[${index}]`),
  );
}

function bytesOf(body: string | Uint8Array): Buffer {
  if (typeof body === 'string') return Buffer.from(body, 'utf8');
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}
