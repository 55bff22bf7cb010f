import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bracketed, parseEndpoint } from '../../../src/client/endpoint.ts';
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

describe('bracketed', () => {
  for (const [announced, address] of [
    ['::1:10911', '[::1]:10911'],
    ['fd00::1:10911', '[fd00::1]:10911'],
    ['2001:db8:0:0:0:0:0:7:10911', '[2001:db8:0:0:0:0:0:7]:10911'],
    ['::ffff:10.0.0.1:10911', '[::ffff:10.0.0.1]:10911'],
    ['fe80::1%eth0:10911', '[fe80::1%eth0]:10911'],
    ['fe80::1%my_net@2:10911', '[fe80::1%my_net@2]:10911'],
    ['fe80::1%br-lan.100:10911', '[fe80::1%br-lan.100]:10911'],
    ['fe80::1%12:10911', '[fe80::1%12]:10911'],
    ['::10911', '::10911'],
    ['host%eth0:10911', 'host%eth0:10911'],
    ['[fe80::1%eth0]:10911', '[fe80::1%eth0]:10911'],
    ['[::1]:10911', '[::1]:10911'],
    ['10.0.0.1:10911', '10.0.0.1:10911'],
    ['broker-0.brokers:10911', 'broker-0.brokers:10911'],
    ['nonsense', 'nonsense'],
    ['', ''],
  ] as const)
    it(`makes ${JSON.stringify(announced)} an address with brackets where it is IPv6`, () => {
      assert.equal(bracketed(announced), address);
    });

  it('gives what parseEndpoint reads', () => {
    for (const host of ['fe80::1%eth0', 'fe80::1%my_net', '::ffff:10.0.0.1', '2001:db8::7'])
      assert.deepEqual(parseEndpoint(bracketed(`${host}:10911`)), { host, port: 10911 });
  });
});
