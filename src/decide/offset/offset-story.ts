/** What the stored offset tells before a commit. */
export type OffsetStory =
  | { readonly kind: 'as-known' }
  /** Somebody moved it: begin there. */
  | { readonly kind: 'reset'; readonly offset: bigint }
  /** The broker came back with an older state than it had confirmed: commit again. */
  | { readonly kind: 'lost-commits' };

/**
 * Compares the broker's offset with the last one that it confirmed to us. An operator's reset usually arrives as OFFSET_RESET with the next pull,
 * but a pull whose answer was lost swallows that signal; the stored offset still tells it. A broker that crashed forgets up to 5 s of commits,
 * which looks the same: it is told by the connection that broke meanwhile.
 */
export function offsetStory(stored: bigint | undefined, known: bigint, connectionBroke: boolean): OffsetStory {
  if (stored === known) return { kind: 'as-known' };
  if (stored === undefined || (connectionBroke && stored < known)) return { kind: 'lost-commits' };
  return { kind: 'reset', offset: stored };
}
