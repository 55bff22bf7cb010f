/** What the stored offset tells before a commit. */
export type OffsetStory =
  | { readonly kind: 'as-known' }
  /** A commit of ours whose answer was lost. */
  | { readonly kind: 'arrived'; readonly offset: bigint }
  /** Somebody moved it: begin there. */
  | { readonly kind: 'reset'; readonly offset: bigint }
  /** The broker came back with an older state than it had confirmed: commit again. */
  | { readonly kind: 'lost-commits' };

/** What we know of the broker's offset. */
export interface OffsetMemory {
  /** The last one that the broker confirmed to us. */
  readonly known: bigint;
  /** One that was sent since, without a confirmation. */
  readonly sent: bigint | undefined;
  /** A connection to the broker broke since the last confirmation: it may have been restarted. */
  readonly connectionBroke: boolean;
}

/**
 * Compares the broker's offset with the last one that it confirmed to us. An operator's reset usually arrives as OFFSET_RESET with the next pull,
 * but a pull whose answer was lost swallows that signal; the stored offset still tells it. A broker that crashed forgets up to 5 s of commits,
 * which looks the same: it is told by the connection that broke meanwhile.
 */
export function offsetStory(
  stored: bigint | undefined,
  { known, sent, connectionBroke }: OffsetMemory,
): OffsetStory {
  if (stored === known) return { kind: 'as-known' };
  if (stored === undefined || (connectionBroke && stored < known)) return { kind: 'lost-commits' };
  return stored === sent ? { kind: 'arrived', offset: stored } : { kind: 'reset', offset: stored };
}
