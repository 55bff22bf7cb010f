import type { SourceConfig } from '../../src/model/source.ts';
import type { Host, Scheduler } from '../kernel/scheduler.ts';
import type { Plan } from '../plan.ts';
import type { Delay, Disturbance } from '../world/disturbance.ts';
import type { WorldEvent } from '../world/events.ts';
import type { Ledger } from '../world/ledger.ts';

/** What a check sees. */
export interface CheckedWorld {
  readonly plan: Plan;
  readonly ledger: Ledger;
  readonly scheduler: Scheduler;
  /** Epoch ms of each fault that took place, in order. */
  readonly faultTimes: readonly number[];
  /** Those that can hold up a commit, in the order of their beginnings. */
  readonly disturbances: readonly Disturbance[];
  readonly delays: readonly Delay[];
  /** What the puller was deployed with. */
  sourceOf(puller: Host): SourceConfig;
  /** What is not drained yet, one line each; empty: everything has its end. */
  pending(): string[];
}

/** One invariant. Made anew for each run. */
export interface Check {
  /** Answers what is wrong when the event breaks the invariant. */
  on?(event: WorldEvent): string | undefined;
  /** What is wrong when the run has ended. */
  atEnd?(): readonly string[];
}

export interface CheckDefinition {
  readonly name: string;
  /** One line: what has to hold. */
  readonly invariant: string;
  create(world: CheckedWorld): Check;
}
