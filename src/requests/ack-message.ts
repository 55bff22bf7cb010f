import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader, NOTHING } from './define-request.ts';
import { type QueueRequest, readQueue } from './offset-field.ts';

export interface AckMessageRequest extends QueueRequest {
  readonly consumerGroup: string;
  /** The handle's text. */
  readonly extraInfo: string;
  readonly offset: bigint;
}

/** The fields that acknowledging and changing the invisible time have in common. `topic` is the retry topic for what was popped from there. */
export function readPopped(fields: FieldReader): AckMessageRequest {
  return {
    consumerGroup: fields.string('consumerGroup'),
    ...readQueue(fields),
    extraInfo: fields.string('extraInfo'),
    offset: fields.long('offset'),
  };
}

/*
 * Request => consumerGroup topic queueId:int extraInfo offset:long
 */
/*
 * Answer  => nothing; SUCCESS also when the message became visible again before
 */
export const ackMessage = defineRequest<AckMessageRequest, void>(RequestCode.ACK_MESSAGE, {
  encode: (request) => ({ extFields: extFields({ ...request }) }),
  decode: (command) => readPopped(new FieldReader(command, 'acknowledgement')),
  ...NOTHING,
});
