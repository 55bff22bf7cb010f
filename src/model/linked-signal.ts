import { onAbort } from './on-abort.ts';

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
  const follow = (): void => {
    const aborted = sources.find((source) => source?.aborted);
    if (aborted === undefined) return;
    unlink();
    controller.abort(aborted.reason);
  };
  const links = sources.map((source) => onAbort(source, () => follow()));
  const unlink = (): void => {
    for (const cut of links) cut();
  };
  follow();
  return { signal: controller.signal, unlink };
}
