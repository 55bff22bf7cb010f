import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { refuse, TOKEN_HEADER } from '../../../src/console/guard.ts';

const TOKEN = 'abc';
const own = { host: '127.0.0.1:9878' };
const post = { ...own, [TOKEN_HEADER]: TOKEN, 'content-type': 'application/json' };
const status = (method: string, headers: Record<string, string>) =>
  refuse(method, headers, 9878, TOKEN)?.status;

describe('the console answers', () => {
  test('its own page, by any name of this machine', () => {
    assert.equal(status('GET', own), undefined);
    assert.equal(
      status('GET', {
        host: 'localhost:9878',
        origin: 'http://localhost:9878',
        'sec-fetch-site': 'same-origin',
      }),
      undefined,
    );
    assert.equal(status('POST', { ...post, origin: 'http://127.0.0.1:9878' }), undefined);
  });

  const refused: readonly (readonly [string, string, Record<string, string>, number])[] = [
    [
      'a name that was bound to 127.0.0.1 by somebody else',
      'GET',
      { host: 'evil.example:9878' },
      421,
    ],
    ['another port’s name', 'GET', { host: '127.0.0.1:80' }, 421],
    ['no name', 'GET', {}, 421],
    ['a page of another site', 'GET', { ...own, origin: 'https://evil.example' }, 403],
    ['a page of another port', 'POST', { ...post, origin: 'http://127.0.0.1:3000' }, 403],
    [
      'an image or a script tag of another site',
      'GET',
      { ...own, 'sec-fetch-site': 'cross-site' },
      403,
    ],
    [
      'a page of another port, without its origin',
      'GET',
      { ...own, 'sec-fetch-site': 'same-site' },
      403,
    ],
    ['a change without the token', 'POST', { ...own, 'content-type': 'application/json' }, 403],
    ['a change with a token of another run', 'POST', { ...post, [TOKEN_HEADER]: 'abd' }, 403],
    ['a change with a longer token', 'POST', { ...post, [TOKEN_HEADER]: 'abcd' }, 403],
    ['a form', 'POST', { ...post, 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['other methods without the token', 'DELETE', own, 403],
  ];
  for (const [name, method, headers, expected] of refused)
    test(`and not ${name}`, () => assert.equal(status(method, headers), expected));
});
