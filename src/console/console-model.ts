import type { QueueState } from '../decide/state/queue-state.ts';
import { queueKey } from '../model/message-queue.ts';
import type { MetricName } from '../model/metrics.ts';

/** One queue as the page shows it. 64-bit numbers are decimal strings. */
export interface QueueView {
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  /** A place of POP mode: `queueId` counts the places at the broker. */
  readonly pops?: true;
  /** Absent: another member of the group has it. */
  readonly slot?: number;
  readonly state: QueueState;
  /** Request id of the puller that holds it. */
  readonly holder?: string;
  readonly committed?: string;
  readonly max?: string;
  readonly lag?: string;
}

export interface GroupView {
  readonly cluster: string;
  readonly consumerGroup: string;
  readonly lag: string;
  readonly queues: readonly QueueView[];
  readonly deadLetters: { readonly stored: string; readonly waiting: string };
  readonly counts: Partial<Record<MetricName, number>>;
  /** An operator's pause of the whole group: until when (epoch ms), and why. */
  readonly pause?: { readonly until: number; readonly reason: string };
  /** What could not be asked, for people. */
  readonly problem?: string;
}

export interface Snapshot {
  /** Epoch ms. */
  readonly at: number;
  readonly groups: readonly GroupView[];
}

/** Something that changed between two looks: what a rebalance is made of. */
export interface Change {
  readonly at: number;
  readonly consumerGroup: string;
  readonly queue: string;
  readonly text: string;
}

/** A group's lag at one moment, for the line over time. */
export interface LagPoint {
  readonly at: number;
  readonly lag: Readonly<Record<string, number>>;
}

export function groupName({
  cluster,
  consumerGroup,
}: Pick<GroupView, 'cluster' | 'consumerGroup'>): string {
  return cluster === 'default' ? consumerGroup : `${cluster}/${consumerGroup}`;
}

export const queueName: (queue: QueueView) => string = queueKey;
