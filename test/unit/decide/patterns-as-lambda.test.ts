import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { filterPatterns } from '../../../src/config/filter-patterns.ts';
import { matchesAny } from '../../../src/decide/filter/matches-pattern.ts';
import type { FilterPattern, PatternFields } from '../../../src/model/filter-pattern.ts';

type Case = readonly [pattern: PatternFields, body: string, answer: boolean | 'refused'];

const { cases } = JSON.parse(
  readFileSync(new URL('../../vectors/patterns.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Case[] };

/** EventBridge has these, Lambda's documents do not. */
const NOT_OF_LAMBDA =
  /"wildcard"|"cidr"|"(prefix|suffix)":[{[]|"anything-but":\{"(equals-ignore-case|numeric)"/;
/** No double tells these numbers from their neighbours: AWS's matcher compares their texts. */
const INEXACT = /900719925474099\d/;

function isAllowed(pattern: PatternFields): boolean {
  return filterPatterns.safeParse([{ body: pattern }]).success;
}

function matches(pattern: PatternFields, body: string): boolean {
  const message = { body, bodyBytes: body.length, tags: undefined, keys: [], properties: {} };
  return matchesAny([{ body: pattern } as FilterPattern], message);
}

describe('patterns over the body, as event-ruler has them', () => {
  test('what it matches is matched, and nothing else', () => {
    let compared = 0;
    for (const [pattern, body, answer] of cases) {
      if (answer === 'refused' || !isAllowed(pattern)) continue;
      compared++;
      assert.equal(matches(pattern, body), answer, `${JSON.stringify(pattern)} on ${body}`);
    }
    assert.ok(compared > 1_500, `${compared} compared`);
  });

  test('what it refuses is refused', () => {
    for (const [pattern, , answer] of cases)
      if (answer === 'refused') assert.equal(isAllowed(pattern), false, JSON.stringify(pattern));
  });

  test('what it allows and Lambda documents is allowed', () => {
    for (const [pattern, , answer] of cases) {
      const text = JSON.stringify(pattern);
      if (answer === 'refused' || NOT_OF_LAMBDA.test(text) || INEXACT.test(text)) continue;
      if (isAllowed(pattern)) continue;
      const [issue] = filterPatterns.safeParse([{ body: pattern }]).error?.issues ?? [];
      assert.match(issue?.message ?? '', /stands twice in one combination|name of a field/, text);
    }
  });
});
