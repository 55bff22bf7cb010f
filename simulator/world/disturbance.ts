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

/** The time of a fault that can hold up a commit. Epoch ms. */
export interface Disturbance {
  readonly of: Disturbed;
  readonly from: number;
  readonly until: number;
}
