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
  /** Of its record: the messages of an inner batch share one. */
  readonly handle: PopHandle;
  /** Why a broker would not bring it back as it should; undefined: it does. */
  readonly unrevivable?: UnrevivableReason;
}

/**
 * A broker copies what was not acknowledged to the pop retry topic.
 * - inner-batch: it refuses the copy, because the retry topic has no batch consume queue;
 * - miscounted: it counts on from the producer's own count, or keeps the producer's time of the
 *   first store.
 */
export type UnrevivableReason = 'inner-batch' | 'miscounted';

export interface PoppedUndecodable {
  readonly undecodable: UndecodableRecord;
  readonly handle: PopHandle;
}
