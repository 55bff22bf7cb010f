import type { Host } from '../kernel/scheduler.ts';

/** Whose work a fault disturbs. */
export type Disturbed =
  /** Each process and each broker. */
  | { readonly kind: 'everything' }
  | { readonly kind: 'process'; readonly host: Host }
  /** One message, by its position. */
  | { readonly kind: 'message'; readonly key: string }
  | {
      readonly kind: 'broker';
      readonly name: string;
      /** Commits of the last seconds are gone. */
      readonly forgets: boolean;
    };

/** A packet of a process, or one for it, that was lost and sent again: no fault, only time. Epoch ms. */
export interface Delay {
  readonly host: Host;
  readonly from: number;
  readonly until: number;
}

/** How long the process waited for such packets between two times, ms. */
export function delayedMs(
  delays: readonly Delay[],
  host: Host,
  { from, until }: { readonly from: number; readonly until: number },
): number {
  let [sum, counted] = [0, from];
  for (const delay of delays.filter((one) => one.host === host).toSorted(byBegin)) {
    const end = Math.min(delay.until, until);
    sum += Math.max(0, end - Math.max(delay.from, counted));
    counted = Math.max(counted, end);
  }
  return sum;
}

function byBegin(a: Delay, b: Delay): number {
  return a.from - b.from;
}

/** The time of a fault that can hold up a commit. Epoch ms. */
export interface Disturbance {
  readonly of: Disturbed;
  readonly from: number;
  readonly until: number;
}
