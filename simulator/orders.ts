import type { Fault, Plan } from './plan.ts';
import type { Violation } from './world/world.ts';

/** What a thread is made with. */
export interface ThreadData {
  /** Name of the mutation that its product code has. */
  readonly mutant?: string;
}

export interface RunOrder {
  readonly scenario: string;
  readonly seed: number;
}

/** What a thread is asked for. */
export type Order =
  /** Runs in turn, at most until the first that fails. */
  | { readonly kind: 'run'; readonly runs: readonly RunOrder[]; readonly stopAtFailure: boolean }
  /** A run of one's own. */
  | { readonly kind: 'run-plan'; readonly plan: Plan }
  /** The fewest faults and messages with which the run still fails, and its trace. */
  | { readonly kind: 'explain'; readonly run: RunOrder; readonly shrinks: boolean };

export interface SeedResult extends RunOrder {
  readonly violations: readonly Violation[];
  readonly digest: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly firstCalls: { readonly calls: number; readonly messages: number };
}

/** Told before each run: a thread that says nothing for long hangs. */
export interface Began {
  readonly kind: 'began';
  readonly run: RunOrder;
}

export type Answer =
  | { readonly kind: 'ran'; readonly results: readonly SeedResult[] }
  | {
      readonly kind: 'explained';
      readonly result: SeedResult;
      readonly faults: readonly Fault[];
      readonly messages: number;
      /** Runs that the shrinking took. */
      readonly tries: number;
      readonly trace: readonly string[];
    }
  | { readonly kind: 'broken'; readonly text: string };
