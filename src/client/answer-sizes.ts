/**
 * How many messages of a queue fit into one answer: half as many after an answer over the frame limit, then one more after each that fits.
 * Empty while every answer fits.
 */
export class AnswerSizes {
  readonly #most = new Map<string, number>();

  /** Messages to ask for, 1 or more, when the caller wants so many. */
  ask(key: string, wanted: number): number {
    return Math.min(wanted, this.#most.get(key) ?? wanted);
  }

  fitted(key: string, wanted: number): void {
    const most = this.#most.get(key);
    if (most === undefined) return;
    if (most >= wanted) this.#most.delete(key);
    else this.#most.set(key, most + 1);
  }

  tooLarge(key: string, asked: number): void {
    this.#most.set(key, Math.max(1, Math.floor(asked / 2)));
  }
}
