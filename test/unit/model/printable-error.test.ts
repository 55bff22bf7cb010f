import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { printableError } from '../../../src/model/printable-text.ts';

const HOSTILE = 'a\u001b]52;c;x\u0007\u009b2J\u202e\u2028z';
const UNPRINTABLE = /[^\P{Cc}\n]|\p{Bidi_Control}|\u2028/u;

test('an error for a console: name, code, message, stack and causes without control characters', () => {
  const cause = Object.assign(new TypeError(HOSTILE), { code: HOSTILE });
  const error = new Error(HOSTILE, { cause });
  error.name = HOSTILE;
  const shown = inspect(printableError(error));
  assert.doesNotMatch(shown, UNPRINTABLE);
  assert.match(shown, /a\\u001b\]52;c;x\\u0007\\u009b2J\\u202e\\u2028z/);
  assert.match(shown, /TypeError/);
  assert.match(shown, /printable-error\.test/);
});

test('whatever else was thrown', () => {
  assert.equal(printableError('no\u001b'), 'no\\u001b');
  assert.equal(printableError(undefined), undefined);
  assert.equal(printableError(7), 7);
  assert.doesNotMatch(String(printableError({ text: HOSTILE })), UNPRINTABLE);
  const round: { self?: unknown } = {};
  round.self = round;
  assert.equal(printableError(round), '[object Object]');
  const chain = new Error('x');
  chain.cause = chain;
  assert.ok(printableError(chain) instanceof Error);
});
