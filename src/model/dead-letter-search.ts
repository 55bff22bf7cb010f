/** Why a search for a dead letter has no answer. */
export type UnknownReason =
  /** The message's own broker cannot be reached. */
  | 'own-broker-away'
  /** Another broker that has dead letters of the group, or the name server, cannot be reached. */
  | 'other-broker-away'
  /** A broker answered with an error that may pass. */
  | 'refused'
  /** There are more dead letters than one look reads. */
  | 'letters-left'
  /** The dead letters may not be read. */
  | 'unreadable';

/** Is the dead letter stored? `absent`: every broker that may have it was read to its end. */
export type SearchResult =
  | { readonly kind: 'found' }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unknown'; readonly reason: UnknownReason; readonly error?: unknown };
