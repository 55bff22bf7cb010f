import type { Message, UndecodableRecord } from '../model/message.ts';
import type { MessageQueue } from '../model/message-queue.ts';

export interface DeadLetterQueue {
  readonly queue: MessageQueue;
  /** Of the oldest and behind the newest message. */
  readonly minOffset: bigint;
  readonly maxOffset: bigint;
  /** Everything before it was redriven. */
  readonly redrivenUpTo: bigint;
  readonly readable: boolean;
}

/** One message that has ended in a dead-letter queue. */
export interface DeadLetter {
  readonly queue: MessageQueue;
  readonly offset: bigint;
  /** undefined: it cannot be decoded. */
  readonly message: Message | undefined;
  readonly undecodable: UndecodableRecord | undefined;
  /** The topic it was sent to first; undefined when nothing tells. */
  readonly originTopic: string | undefined;
  /** offsetMsgId of its first store, as the broker noted it; clients that sent it back by themselves note the UNIQ_KEY. */
  readonly originMessageId: string | undefined;
}
