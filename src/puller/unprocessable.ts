import type { Unhandled } from '../decide/batch/why-unhandled.ts';
import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import { describeThrown } from '../delivery/thrown.ts';
import type { Message, UndecodableRecord } from '../model/message.ts';

/** The end of a message that something threw over while it was handled. The queue goes on. */
export function unprocessable(thrown: unknown): Unhandled {
  return {
    kind: 'unhandled',
    how: 'for-good',
    condition: 'RejectedByHandler',
    code: 'ROCKETMQ_MESSAGE_UNPROCESSABLE',
    reason: `the message cannot be processed: ${describeThrown(thrown).errorMessage}`,
  };
}

/** A message of which only its place is used, for what has to work with every message. */
export function asUndecodable(
  { offset, message, undecodable, localRetries }: QueueEntry,
  thrown: unknown,
): Pick<QueueEntry, 'message' | 'undecodable' | 'localRetries'> {
  return {
    message: undefined,
    undecodable: message === undefined ? undecodable : placeOf(message, offset, thrown),
    localRetries,
  };
}

function placeOf(message: Message, queueOffset: bigint, thrown: unknown): UndecodableRecord {
  const { queueId, commitLogOffset, reconsumeTimes } = message;
  return {
    queueId,
    queueOffset,
    commitLogOffset,
    reconsumeTimes,
    offsetMsgId: offsetMsgIdOf(message),
    error: new Error(describeThrown(thrown).errorMessage),
  };
}

/** Only for the broker's log. */
function offsetMsgIdOf(message: Message): string {
  try {
    return message.offsetMsgId;
  } catch {
    return '';
  }
}
