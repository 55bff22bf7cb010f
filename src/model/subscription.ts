export type ExpressionType = 'TAG' | 'SQL92';

/** What a group wants of a topic. Mirrors SubscriptionData as FilterAPI.buildSubscriptionData makes it. */
export interface Subscription {
  readonly topic: string;
  /** The expression as the broker gets it; `*` for all. */
  readonly subString: string;
  readonly expressionType: ExpressionType;
  /** Tags named by a TAG expression, in order of appearance, without repeats; empty for `*` and SQL92. */
  readonly tagsSet: readonly string[];
  /** Java hash codes of tagsSet. */
  readonly codeSet: readonly number[];
  /** 0 for TAG; epoch milliseconds for SQL92. */
  readonly subVersion: number;
}
