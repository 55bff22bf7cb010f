import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseEndpoint } from '../../../src/client/endpoint.ts';
import { ConfigError } from '../../../src/errors.ts';

describe('parseEndpoint', () => {
  for (const [text, host, port] of [
    ['10.0.0.1:9876', '10.0.0.1', 9876],
    ['mq.example.com:1', 'mq.example.com', 1],
    ['[::1]:9876', '::1', 9876],
    ['[2001:db8::7]:65535', '2001:db8::7', 65535],
    [' host:10911 ', 'host', 10911],
  ] as const)
    it(`reads ${JSON.stringify(text)}`, () =>
      assert.deepEqual(parseEndpoint(text), { host, port }));

  for (const text of [
    '',
    'host',
    'host:',
    ':9876',
    'host:0',
    'host:65536',
    'host:x',
    '::1:9876',
    'a b:1',
    'http://host:9876',
    'host:1;host:2',
  ])
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseEndpoint(text),
        (error) =>
          error instanceof ConfigError && error.message.includes(`"${text}" is no address`),
      );
    });
});
