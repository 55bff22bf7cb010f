import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileSql, problemOfSql } from '../../../src/decide/filter/sql92.ts';
import {
  BAD_SQL,
  BAD_SQL_OF_5,
  COMPARED_SQL,
  CUT_SQL,
  GOOD_SQL,
  GOOD_SQL_OF_5,
} from '../../support/sql-filters.ts';

describe('SQL92 of filters', () => {
  for (const sql of [...GOOD_SQL, ...GOOD_SQL_OF_5])
    test(`${sql}: good`, () => assert.equal(problemOfSql(sql), undefined));
  for (const [sql, problem] of [...BAD_SQL, ...BAD_SQL_OF_5, ...CUT_SQL])
    test(`${sql || '(nothing)'}: ${problem.source}`, () =>
      assert.match(problemOfSql(sql) ?? '(good)', problem));

  /** Compared with brokers in test/integration/real-filters. */
  const TRUTHS: readonly (readonly [sql: string, properties: object, matches: boolean])[] = [
    ['a > 1', { a: '2' }, true],
    ['a > 1', { a: ' 2 ' }, false],
    ['a > 1.5', { a: ' 2 ' }, true],
    ['a > b', { a: '10', b: '9' }, true],
    ['a > 1', { a: 'x' }, false],
    ['NOT (a > 1)', { a: 'x' }, false],
    ['NOT (a > 1)', {}, false],
    ['NOT (a > 1) OR a IS NULL', {}, true],
    ['a = 2', { a: '٢' }, true],
    ['a <> 2', { a: '99999999999' }, false],
    ['a <> 2L and a > 9999999999', { a: '99999999999' }, false],
    ['a > 9999999999', { a: '99999999999' }, true],
    ['a', { a: 'true' }, false],
    ['a = TRUE', { a: 'TRUE' }, true],
    ["a in ('it''s')", { a: "it's" }, true],
    ["a not in ('x')", {}, false],
    ["a not contains ''", { a: 'x' }, false],
    ["a not endswith 'x'", { a: 'y' }, true],
    ['a between 1 and 3 and b not between 1 and 3', { a: '3', b: '4' }, true],
    ['a = -9223372036854775807', { a: '-9223372036854775807' }, true],
    ['constructor IS NOT NULL', {}, false],
  ];
  for (const [sql, properties, matches] of TRUTHS)
    test(`${sql} is ${matches} of ${JSON.stringify(properties)}`, () =>
      assert.equal(compileSql(sql)?.(new Map(Object.entries(properties))), matches));

  test('what brokers do not compile is not evaluated', () => {
    for (const [sql] of [...BAD_SQL, ...CUT_SQL]) assert.equal(compileSql(sql), undefined, sql);
  });

  test('values of any form and length have an answer at once', () => {
    const long = Array.from('1 .0e٣-', (character) => character.repeat(32_000));
    const values = [
      ...long,
      ...long.map((text) => `1${text}x`),
      ...long.map((text) => `-${text}1`),
    ];
    const filters = [...GOOD_SQL, ...COMPARED_SQL].map((sql) => compileSql(sql));
    const started = performance.now();
    for (const a of values)
      for (const matches of filters)
        assert.equal(typeof matches?.(new Map(Object.entries({ a, b: a }))), 'boolean');
    const each = (performance.now() - started) / values.length / filters.length;
    assert.ok(each < 20, `${each} ms for each`);
  });

  test('whatever is written has an answer', () => {
    const pieces = fc.constantFrom(
      'a',
      '1',
      "'x'",
      '(',
      ')',
      ',',
      '=',
      '<>',
      '>',
      '-',
      'AND',
      'OR',
      'NOT',
      'IN',
      'IS',
      'NULL',
      'BETWEEN',
      '"',
      '/*',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces, { maxLength: 12 }).map((all) => all.join(' ')),
        ),
        (sql) => {
          const problem = problemOfSql(sql);
          assert.ok(problem === undefined || problem.length > 0);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
