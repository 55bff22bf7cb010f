import { onAbort } from '../model/on-abort.ts';

/** A call that waits for its turn. */
interface Waiting {
  /** undefined: it has to be alone in the process. */
  readonly functionKey: string | undefined;
  wake: () => void;
}

/**
 * The calls of inline handlers in this process, over all of its queues and invocations. As of a
 * Lambda function, a handler has one call at a time in its process unless its event allows more.
 * A call that has to be alone (decide/crash) waits for all before it, and all behind wait for it.
 */
export class InlineTurns {
  readonly #active = new Map<string, number>();
  /** In the order in which they came. */
  readonly #waiting: Waiting[] = [];
  #isAlone = false;

  /**
   * Waits, in the order of the calls, until fewer than `limit` are active.
   * @returns ends the turn; undefined: the signal was aborted first
   */
  async enter(
    functionKey: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<(() => void) | undefined> {
    const mayEnter = (before: readonly Waiting[]): boolean =>
      !this.#isAlone &&
      this.#activeOf(functionKey) < limit &&
      !before.some((other) => other.functionKey === functionKey || other.functionKey === undefined);
    return this.#enter(functionKey, mayEnter, () => this.hold(functionKey), signal);
  }

  /**
   * Waits until no inline handler is active in the process, and keeps it so: the process can only
   * die of this call then, whichever queues and handlers it has. The call itself holds its turn.
   * @returns ends it; undefined: the signal was aborted first
   */
  async enterAlone(signal: AbortSignal): Promise<(() => void) | undefined> {
    const mayEnter = (before: readonly Waiting[]): boolean =>
      !this.#isAlone && this.#active.size === 0 && before.length === 0;
    const claim = (): (() => void) => {
      this.#isAlone = true;
      return once(() => {
        this.#isAlone = false;
        this.#wake();
      });
    };
    return this.#enter(undefined, mayEnter, claim, signal);
  }

  /** A turn without waiting: of the call that is alone, or of one that goes on after it was given up. @returns ends it */
  hold(functionKey: string): () => void {
    this.#active.set(functionKey, this.#activeOf(functionKey) + 1);
    return once(() => {
      const left = this.#activeOf(functionKey) - 1;
      if (left > 0) this.#active.set(functionKey, left);
      else this.#active.delete(functionKey);
      this.#wake();
    });
  }

  #activeOf(functionKey: string): number {
    return this.#active.get(functionKey) ?? 0;
  }

  async #enter(
    functionKey: string | undefined,
    mayEnter: (before: readonly Waiting[]) => boolean,
    claim: () => () => void,
    signal: AbortSignal,
  ): Promise<(() => void) | undefined> {
    if (mayEnter(this.#waiting)) return claim();
    const waiting: Waiting = { functionKey, wake: () => {} };
    this.#waiting.push(waiting);
    try {
      while (!signal.aborted) {
        await new Promise<void>((resolve) => {
          const unlink = onAbort(signal, () => waiting.wake());
          waiting.wake = () => {
            unlink();
            resolve();
          };
        });
        if (mayEnter(this.#waiting.slice(0, this.#waiting.indexOf(waiting)))) return claim();
      }
      return undefined;
    } finally {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      // What waited behind this one only may enter now.
      this.#wake();
    }
  }

  #wake(): void {
    for (const { wake } of [...this.#waiting]) wake();
  }
}

function once(run: () => void): () => void {
  let hasRun = false;
  return () => {
    if (hasRun) return;
    hasRun = true;
    run();
  };
}
