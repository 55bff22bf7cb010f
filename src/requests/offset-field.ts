import type { RemotingCommand } from '../remoting/command.ts';
import { extFields, FieldReader, type Wire } from './define-request.ts';

export interface QueueRequest {
  readonly topic: string;
  readonly queueId: number;
}

/** Ext fields that name a queue. */
export function readQueue(fields: FieldReader): QueueRequest {
  return { topic: fields.string('topic'), queueId: fields.int('queueId') };
}

/** Answer => offset:long */
export const OFFSET_ANSWER = {
  encodeAnswer: (offset: bigint): Wire => ({ extFields: extFields({ offset }) }),
  decodeAnswer: (command: RemotingCommand): bigint =>
    new FieldReader(command, 'offset answer').long('offset'),
};
