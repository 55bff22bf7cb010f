/**
 * A batch that failed as a whole and is delivered in two parts, the first one with all of its own parts
 * before the second. Where everything of the first part failed like the whole, and the second part
 * does, too, it is no message: what the handler needs is away.
 */
export class Split {
  /** Of the whole batch. */
  readonly #errorType: string;
  /** The split that the batch is a part of. */
  readonly #within: Split | undefined;
  #isAlike = true;

  constructor(errorType: string, within: Split | undefined) {
    this.#errorType = errorType;
    this.#within = within;
  }

  /** A part ended. @param errorType it failed as a whole, with this; undefined: otherwise */
  note(errorType: string | undefined): void {
    if (errorType !== this.#errorType) this.#isAlike = false;
    this.#within?.note(errorType);
  }

  /** Has everything so far failed like the whole, and this part, too? */
  isAlike(errorType: string): boolean {
    return this.#isAlike && errorType === this.#errorType;
  }
}
