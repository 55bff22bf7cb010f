import type { Message, UndecodableRecord } from './message.ts';

/**
 * Names one delivery of a popped message to the broker that gave it (POP_CK, ExtraInfoUtil). Every change of the invisible time makes a new
 * one, and the old one is dead.
 */
export interface PopHandle {
  /** First offset of the pop that it came with. */
  readonly ckQueueOffset: bigint;
  /** Epoch ms of the broker's clock. */
  readonly popTime: bigint;
  /** Milliseconds from popTime until the broker gives the message to somebody else. */
  readonly invisibleTime: bigint;
  readonly reviveQid: number;
  /** 0: popped from the topic; 1, 2: from its pop retry topic, whose name has the one or the other form. */
  readonly retryMark: 0 | 1 | 2;
  readonly brokerName: string;
  readonly queueId: number;
  readonly queueOffset: bigint;
}

export interface PoppedMessage {
  /** Its topic is the user's, also when it was popped from the retry topic. */
  readonly message: Message;
  readonly handle: PopHandle;
}

export interface PoppedUndecodable {
  readonly undecodable: UndecodableRecord;
  readonly handle: PopHandle;
}
