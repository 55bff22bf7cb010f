import { InvalidFilterError } from '../../src/errors.ts';
import { buildSubscription, javaHashCode } from '../../src/records/subscription.ts';
import type { Checker } from './checker.ts';

interface SubscriptionVectors {
  readonly subscriptions: readonly {
    readonly expression: string | null;
    readonly subString?: string;
    readonly tagsSet?: readonly string[];
    readonly codeSet?: readonly number[];
    readonly expressionType?: string;
    /** The expression is refused. */
    readonly error?: string;
  }[];
  readonly tagHashes: readonly { readonly tag: string; readonly hash: number }[];
}

/** Java's sets have no order of their own: the vectors' are sorted. */
export function checkSubscriptions(
  { subscriptions, tagHashes }: SubscriptionVectors,
  checker: Checker,
): void {
  for (const expected of subscriptions)
    checker.case(`expression ${JSON.stringify(expected.expression)}`, (expect) => {
      if (expected.error !== undefined) {
        expect('refused', refuses(expected.expression), true);
        return;
      }
      const actual = buildSubscription('T', expected.expression);
      expect('subString', actual.subString, expected.subString);
      expect('tagsSet', [...actual.tagsSet].sort(), [...(expected.tagsSet ?? [])].sort());
      expect(
        'codeSet',
        [...actual.codeSet].sort(ascending),
        [...(expected.codeSet ?? [])].sort(ascending),
      );
      expect('expressionType', actual.expressionType, expected.expressionType);
    });
  for (const { tag, hash } of tagHashes)
    checker.case(`tag ${JSON.stringify(tag)}`, (expect) => expect('hash', javaHashCode(tag), hash));
}

function refuses(expression: string | null): boolean {
  try {
    buildSubscription('T', expression);
    return false;
  } catch (error) {
    if (error instanceof InvalidFilterError) return true;
    throw error;
  }
}

function ascending(a: number, b: number): number {
  return a - b;
}
