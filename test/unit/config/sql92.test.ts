import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { problemOfSql } from '../../../src/config/sql92.ts';
import {
  BAD_SQL,
  BAD_SQL_OF_5,
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
