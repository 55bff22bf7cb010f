/**
 * A batch that failed as a whole and is delivered in two parts, the first one with all of its own parts
 * before the second. Where everything of a first half failed like the whole, and the second half does,
 * too, it is no message: what the handler needs is away.
 */
export class Split {
  /** Of the whole batch. */
  readonly #errorType: string;
  /** One message that went alone for lack of time says nothing of the others. */
  readonly #inHalves: boolean;
  /** The split that the batch is a part of. */
  readonly #within: Split | undefined;
  #ends: 'none' | 'alike' | 'different' = 'none';

  constructor(errorType: string, inHalves: boolean, within: Split | undefined) {
    this.#errorType = errorType;
    this.#inHalves = inHalves;
    this.#within = within;
  }

  /** A part ended. @param errorType it failed as a whole, with this; undefined: otherwise */
  note(errorType: string | undefined): void {
    const isAlike = errorType === this.#errorType && this.#ends !== 'different';
    this.#ends = isAlike ? 'alike' : 'different';
    this.#within?.note(errorType);
  }

  /** Has everything so far failed like the whole, and this part, too? */
  isAlike(errorType: string): boolean {
    return this.#inHalves && this.#ends === 'alike' && errorType === this.#errorType;
  }
}
