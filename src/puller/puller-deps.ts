import type { FlowLimits } from '../decide/pull/flow-control.ts';
import type { MemoryBudget } from '../decide/pull/memory-budget.ts';
import type { MemberQueue } from '../model/membership.ts';
import type { HandlerConfig, ServiceConfig } from '../model/source.ts';
import type { AssignmentStore } from '../ports/assignment-store.ts';
import type { BodyStore } from '../ports/body-store.ts';
import type { Clock } from '../ports/clock.ts';
import type { FailureDestinations } from '../ports/failure-destination.ts';
import type { MessageHandler } from '../ports/invoke.ts';
import type { Logger } from '../ports/logger.ts';
import type { Meter } from '../ports/meter.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import type { DrainReason } from '../queue/stop-reasons.ts';
import type { InlineTurns } from './inline-turns.ts';
import type { MessageTrace } from './message-trace.ts';
import type { SlotShare } from './slot-share.ts';
import type { Utilization } from './utilization.ts';

/** What a puller invocation needs from the world. */
export interface PullerDeps {
  readonly service: ServiceConfig;
  readonly client: RocketMQ;
  readonly store: AssignmentStore;
  readonly handlers: (config: HandlerConfig) => MessageHandler;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
  /** Unique per invocation: Lambda's request id. */
  readonly holder: string;
  readonly remainingMs: () => number;
  /** What the invocation had when it began, before it waited for a lease, ms; runRequest reads it. */
  readonly invocationMs?: number;
  /**
   * Drains: batches in flight finish, offsets commit, leases are released. Aborted with MOVED: another consumer goes on, so that broker locks are given
   * back as well; else the same slot does, under the same name.
   */
  readonly signal?: AbortSignal;
  readonly region?: string;
  readonly accountId?: string;
  /** Memory of the process; undefined: its queues are bounded one by one, by Java's limits. */
  readonly memoryBytes?: number;
  /** Collects garbage at once, before large bodies are decompressed. Absent: V8 decides. */
  readonly collectGarbage?: () => void;
  /** What all queues of the invocation share; runPuller makes it of `memoryBytes` when it is absent. */
  readonly memory?: MemoryBudget;
  readonly options?: Partial<PullerOptions>;
  /** Where the invocation is its slot's only one, and handler calls are limited over all of its queues. */
  readonly share?: SlotShare;
  /** Where inline handlers are called in turn: those of the whole process. Absent: all at once. */
  readonly inlineTurns?: InlineTurns;
  /** Where handler calls are noted; runPuller makes it when the source asks for it. */
  readonly trace?: MessageTrace;
  /** How much of its time the puller is at work; runPuller makes it where there is a meter. */
  readonly utilization?: Utilization;
  /** What takes messages that failed for good, where events say so. */
  readonly destinations?: FailureDestinations;
  /** Where bodies over `s3PointerThreshold` go. Absent: they stay in their events, which a local run does. */
  readonly bodies?: BodyStore;
  /** Counts what happens, for CloudWatch. */
  readonly meter?: Meter;
  /** Told of each queue when it was acquired. */
  readonly onQueue?: (queue: RunningQueue) => void;
}

/** A queue that is being worked, as others see and move it. */
export interface RunningQueue {
  figures(): MemberQueue;
  /** Goes on at another offset; everything pulled before is forgotten. */
  adopt(offset: bigint): void;
}

/** Times in milliseconds. */
export interface PullerOptions {
  /** Of each queue. */
  readonly flowLimits: FlowLimits;
  /** A queue without a message for so long lets its puller return. */
  readonly idleTimeoutMs: number | 'never';
  readonly commitIntervalMs: number;
  readonly renewIntervalMs: number;
  /** Kept back at the end of the invocation to settle, commit and release. */
  readonly reserveMs: number;
  readonly maxSuspendMs: number;
  /** How long to wait for a lease that somebody else holds. */
  readonly successionWaitMs: number;
  /** How long to wait for a broker lock that another consumer holds. */
  readonly lockWaitMs: number;
  /** In POP mode: how long a message is ours before it is prolonged. */
  readonly popInvisibleMs: number;
}

/** Reason of the signal: the queue is another consumer's now. */
export const MOVED = 'moved' satisfies StopReason;

/** Why a queue was not worked at all. */
type NotStartedReason = 'not-acquired' | 'too-little-time' | 'too-late' | 'unknown-source';

/** Why a queue's work ended, see queue/stop-reasons. */
export type StopReason = DrainReason | NotStartedReason;

export interface QueueReport {
  readonly queue: string;
  readonly reason: StopReason;
  readonly handled: number;
  readonly sentBack: number;
  /** Those of the handled ones that their handler gave up (`action: drop`). */
  readonly dropped: number;
  readonly committedOffset: string | undefined;
}

export interface PullerReport {
  readonly consumerGroup: string;
  readonly queues: readonly QueueReport[];
}
