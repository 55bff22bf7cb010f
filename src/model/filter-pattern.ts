/** One rule of Lambda's filter syntax; a scalar is equal to itself, and to nothing of another type. */
export type PatternRule =
  | string
  | number
  | boolean
  | null
  | { readonly prefix: string }
  | { readonly suffix: string }
  | { readonly 'equals-ignore-case': string }
  | { readonly exists: boolean }
  | { readonly numeric: readonly (string | number)[] }
  | {
      readonly 'anything-but':
        | string
        | number
        | readonly (string | number)[]
        | { readonly prefix: string }
        | { readonly suffix: string };
    };

/** Fields that must all match, each by one of its rules; `$or` is a list of patterns of which one must. */
export interface PatternFields {
  readonly [field: string]: PatternFields | readonly PatternRule[] | readonly PatternFields[];
}

/** What a pattern sees of a message. A body is asked as text by rules, and as JSON by fields. */
export interface FilterPattern {
  readonly body?: PatternFields | readonly PatternRule[];
  readonly tags?: readonly PatternRule[];
  readonly keys?: readonly PatternRule[];
  readonly properties?: PatternFields;
  readonly $or?: readonly FilterPattern[];
}
