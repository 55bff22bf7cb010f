import type { QueueRange } from '../decide/offset/queue-life.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { FlowLimits } from '../decide/pull/flow-control.ts';
import type { LifeMark } from '../model/assignment.ts';
import type { Message } from '../model/message.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { Subscription } from '../model/subscription.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { PullResult, RocketMQ } from '../ports/rocketmq.ts';
import type { LifecycleKeeper } from './lifecycle-keeper.ts';
import type { PullFailure } from './pull-state.ts';
import type { Wakeup } from './wakeup.ts';

/** Where the loop stands in its queue, and what of that is stored. */
export interface PullPosition {
  /** An operator's reset waits for the next pull: nothing is delivered before. */
  readonly resetPending: boolean;
  /** Goes on at an offset that an answer dictates; everything pulled before is dropped, in flight too. @param reset an operator's */
  moveTo(offset: bigint, reset: boolean): Promise<void>;
  /** Looks for a pending reset in the stored offset: the answer that was to report it was lost. */
  resolveReset(): Promise<void>;
  /** The connection failed: the broker may have been restarted. */
  connectionLost(): void;
}

/** Recognises the queue's present life (decide/offset/queue-life). */
export interface PullLife {
  readonly lifeMark: LifeMark | undefined;
  /** These messages belong to the present life. */
  found(messages: readonly Message[]): void;
  /** The queue was deleted and created again. */
  beginLife(range: QueueRange): void;
}

/** Memory for answers. */
export interface PullMemory {
  /** Maximum of bytes that an answer may take with what is decompressed of it. */
  readonly maxAnswerBytes: number;
  /** Memory is reserved for the next answer: the broker must not hold the pull. */
  readonly reserves: boolean;
  /** May the next pull be sent? */
  mayFetch(now: number): boolean;
  /** An answer begins to arrive. False: there is no memory for it, and it is not read. @param asked messages */
  receive(bytes: number, asked: number, now: number): boolean;
  /**
   * False: there is no memory for an answer. It is dropped, and pulled again when `mayFetch` allows it.
   * @param records that it has at most: an inner batch is one
   */
  admit(bytes: number, records: number, now: number): boolean;
  /** The request has ended: what it brought is stored or dropped. */
  endFetch(): void;
}

/** What the owner of a queue counts and logs. */
export interface PullObserver {
  answered?(): void;
  /** The answer is in the buffer, or its reset was followed. @param from where the pull began */
  taken?(result: PullResult, from: bigint): void;
  /** @param isFinal the loop ends with it */
  failed?(isFinal: boolean): void;
  /** Nothing is pulled: the limits are reached. */
  full?(): void;
}

/** What the pull loop of one queue works with. */
export interface PullLoop {
  readonly consumerGroup: string;
  readonly queue: MessageQueue;
  readonly subscription: Subscription;
  /** Maximum of messages per pull. */
  readonly batchSize: number;
  readonly client: Pick<
    RocketMQ,
    'pull' | 'minOffset' | 'maxOffset' | 'firstStoredAt' | 'searchOffset'
  >;
  readonly messages: ProcessQueue;
  readonly limits: FlowLimits;
  readonly memory: PullMemory;
  readonly position: PullPosition;
  readonly life: PullLife;
  /** The mark was set before this loop began: the first answer is compared with it. */
  readonly isMarkOld?: boolean;
  /** Ends the loop. Its signal `pull` aborts requests and waits, also when the position is changed. */
  readonly lifecycle: Pick<LifecycleKeeper, 'ending' | 'signal'>;
  readonly wakeup: Wakeup;
  readonly clock: Clock;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
  readonly logger: Logger;
  /** How long the broker may hold the next pull, ms; 0: not at all. undefined: no pull now, the queue ends or its lease comes back. */
  readonly suspendMs: () => number | undefined;
  /** The message at the next offset is pulled alone. */
  readonly pullsSingly: () => boolean;
  readonly failureOf: (error: unknown) => PullFailure;
  readonly observer: PullObserver;
}
