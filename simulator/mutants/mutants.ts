/** A fault put into the product as it is loaded. The simulator has to find each. */
export interface Mutant {
  readonly name: string;
  /** From the repository's root. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Where it shows soonest. */
  readonly scenarios: readonly string[];
}

export const MUTANTS: readonly Mutant[] = [];
