import type { UnknownReason } from '../../model/dead-letter-search.ts';

/** What follows when it is not known whether a dead letter is stored. */
export type SearchStep =
  | { readonly kind: 'look-again'; readonly afterMs: number }
  /** To lose the message is worse than to store it twice. */
  | { readonly kind: 'send-again' };

interface Patience {
  /** Looks without an answer after which the dead letter is sent again; undefined: no bound. */
  readonly maxLooks: number | undefined;
  readonly waitMs: number;
}

const PATIENCE: Readonly<Record<UnknownReason, Patience>> = {
  // The queue's offset cannot be committed meanwhile either.
  'own-broker-away': { maxLooks: undefined, waitMs: 5_000 },
  'other-broker-away': { maxLooks: 6, waitMs: 5_000 },
  refused: { maxLooks: 6, waitMs: 5_000 },
  // Each look reads 2,000 more.
  'letters-left': { maxLooks: 30, waitMs: 1_000 },
  unreadable: { maxLooks: 1, waitMs: 0 },
};

/** @param looks that had no answer, this one included; they fit into the shortest invocation */
export function afterUnknown(reason: UnknownReason, looks: number): SearchStep {
  const { maxLooks, waitMs } = PATIENCE[reason];
  return maxLooks !== undefined && looks >= maxLooks
    ? { kind: 'send-again' }
    : { kind: 'look-again', afterMs: waitMs };
}
