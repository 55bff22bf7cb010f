/**
 * What a signal calls when it aborts. A removed listener of an EventTarget stays linked to those
 * that were added after it. Where calls overlap on a long-lived signal, each would keep what the
 * calls after it had until the next full garbage collection; so what it calls is taken from it.
 */
class AbortListener {
  #listener: (() => void) | undefined;

  constructor(listener: () => void) {
    this.#listener = listener;
  }

  handleEvent(): void {
    this.#listener?.();
  }

  cut(): void {
    this.#listener = undefined;
  }
}

/**
 * Calls the listener when the signal aborts; not for a signal that is aborted already.
 * @returns takes the listener back: nothing of it stays with the signal
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => {};
  const link = new AbortListener(listener);
  signal.addEventListener('abort', link, { once: true });
  return () => {
    signal.removeEventListener('abort', link);
    link.cut();
  };
}
