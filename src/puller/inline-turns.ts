import { onAbort } from '../model/on-abort.ts';

/** A call that waits for its turn. */
interface Waiting {
  /** undefined: it has to be alone in the process. */
  readonly functionKey: string | undefined;
  /** Calls of its handler at once. */
  readonly limit: number;
  readonly grant: (end: () => void) => void;
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
    return await this.#enter(functionKey, limit, signal);
  }

  /**
   * Waits until no inline handler is active in the process, and keeps it so: the process can only
   * die of this call then, whichever queues and handlers it has. The call itself holds its turn.
   * @returns ends it; undefined: the signal was aborted first
   */
  async enterAlone(signal: AbortSignal): Promise<(() => void) | undefined> {
    return await this.#enter(undefined, 1, signal);
  }

  /** A turn without waiting: of the call that is alone, or of one that goes on after it was given up. @returns ends it */
  hold(functionKey: string): () => void {
    this.#active.set(functionKey, this.#activeOf(functionKey) + 1);
    return once(() => {
      const left = this.#activeOf(functionKey) - 1;
      if (left > 0) this.#active.set(functionKey, left);
      else this.#active.delete(functionKey);
      this.#grant();
    });
  }

  #activeOf(functionKey: string): number {
    return this.#active.get(functionKey) ?? 0;
  }

  async #enter(
    functionKey: string | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<(() => void) | undefined> {
    const end = await new Promise<(() => void) | undefined>((resolve) => {
      const waiting: Waiting = {
        functionKey,
        limit,
        grant: (ended) => {
          unlink();
          resolve(ended);
        },
      };
      const unlink = onAbort(signal, () => {
        this.#leave(waiting);
        resolve(undefined);
        // What waited behind this one only may begin now.
        this.#grant();
      });
      this.#waiting.push(waiting);
      this.#grant();
      // onAbort does not call for a signal that is aborted already.
      if (signal.aborted && this.#leave(waiting)) resolve(undefined);
    });
    return end;
  }

  #leave(waiting: Waiting): boolean {
    const at = this.#waiting.indexOf(waiting);
    if (at >= 0) this.#waiting.splice(at, 1);
    return at >= 0;
  }

  /** Gives their turns to those who may have them, in one pass over those who wait. */
  #grant(): void {
    const passedOver = new Set<string>();
    for (const waiting of [...this.#waiting]) {
      if (this.#isAlone) return;
      const { functionKey, limit, grant } = waiting;
      if (functionKey === undefined) {
        if (passedOver.size > 0 || this.#active.size > 0) return;
        this.#leave(waiting);
        grant(this.#holdAlone());
      } else if (passedOver.has(functionKey) || this.#activeOf(functionKey) >= limit)
        passedOver.add(functionKey);
      else {
        this.#leave(waiting);
        grant(this.hold(functionKey));
      }
    }
  }

  #holdAlone(): () => void {
    this.#isAlone = true;
    return once(() => {
      this.#isAlone = false;
      this.#grant();
    });
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
