/** A signal that follows others until `unlink`. */
interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Ends it: nothing of it stays with the signals that it followed. */
  readonly unlink: () => void;
}

/**
 * A signal that aborts when one of the others does, with its reason. AbortSignal.any leaves something behind at
 * long-lived signals on Node 22; this one leaves nothing after `unlink`.
 */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  const onAbort = (): void => {
    const aborted = sources.find((source) => source?.aborted);
    if (aborted === undefined) return;
    unlink();
    controller.abort(aborted.reason);
  };
  const unlink = (): void => {
    for (const source of sources) source?.removeEventListener('abort', onAbort);
  };
  for (const source of sources) source?.addEventListener('abort', onAbort);
  onAbort();
  return { signal: controller.signal, unlink };
}
