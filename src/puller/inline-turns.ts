import { onAbort } from '../model/on-abort.ts';

/**
 * The calls of inline handlers in this process, over all of its queues and invocations. As of a
 * Lambda function, a handler has one call at a time in its process unless its event allows more.
 */
export class InlineTurns {
  readonly #handlers = new Map<string, { active: number; readonly waiting: (() => void)[] }>();

  /**
   * Waits, in the order of the calls, until fewer than `limit` are active.
   * @returns ends the turn; undefined: the signal was aborted first
   */
  async enter(
    functionKey: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<(() => void) | undefined> {
    const handler = this.#of(functionKey);
    while (handler.active >= limit) {
      if (signal.aborted) return undefined;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          unlink();
          resolve();
        };
        const unlink = onAbort(signal, () => {
          const at = handler.waiting.indexOf(wake);
          if (at >= 0) handler.waiting.splice(at, 1);
          resolve();
        });
        handler.waiting.push(wake);
      });
    }
    return this.hold(functionKey);
  }

  /** A turn without waiting: of a call that goes on after it was given up. @returns ends it */
  hold(functionKey: string): () => void {
    const handler = this.#of(functionKey);
    handler.active++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      handler.active--;
      handler.waiting.shift()?.();
    };
  }

  #of(functionKey: string) {
    let handler = this.#handlers.get(functionKey);
    if (handler === undefined) {
      handler = { active: 0, waiting: [] };
      this.#handlers.set(functionKey, handler);
    }
    return handler;
  }
}
