/**
 * Runs one piece of work at a time. Callers that come while it runs share one more run, which begins
 * when the one before has ended: what they see changed is in it.
 */
export class SharedTurns<Result> {
  readonly #work: () => Promise<Result>;
  /** Resolves at the end of the run, however it ends. */
  #running: Promise<void> | undefined;
  #next: Promise<Result> | undefined;

  constructor(work: () => Promise<Result>) {
    this.#work = work;
  }

  /** @throws what the work throws in the run that begins at or after this call */
  run(): Promise<Result> {
    if (this.#next !== undefined) return this.#next;
    const before = this.#running;
    if (before === undefined) return this.#begin();
    this.#next = before.then(() => {
      this.#next = undefined;
      return this.#begin();
    });
    return this.#next;
  }

  #begin(): Promise<Result> {
    const result = this.#work();
    const ended: Promise<void> = result.then(
      () => this.#end(ended),
      () => this.#end(ended),
    );
    this.#running = ended;
    return result;
  }

  #end(ended: Promise<void>): void {
    if (this.#running === ended) this.#running = undefined;
  }
}
