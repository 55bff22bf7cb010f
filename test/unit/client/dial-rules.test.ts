import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Brokers } from '../../../src/client/brokers.ts';
import { type DialConfig, DialRules } from '../../../src/client/dial-rules.ts';
import { addressesIn } from '../../../src/client/hosts-file.ts';
import { openSocket } from '../../../src/client/open-socket.ts';
import { createRocketMQClient } from '../../../src/client/rocketmq-client.ts';
import { AddressRefusedError, ConfigError } from '../../../src/errors.ts';
import type { Logger } from '../../../src/ports/logger.ts';
import { getMaxOffset } from '../../../src/requests/get-max-offset.ts';
import { getRoute } from '../../../src/requests/get-route.ts';
import { startFrameServer } from '../../support/frame-server.ts';

const REMOTE = ['10.0.0.9:9876'];
const refusal = (config: Partial<DialConfig>, host: string, addresses: string[] = []) =>
  new DialRules({ nameServers: REMOTE, ...config }).refusal(host, addresses);

describe('brokers of a remote name server', () => {
  for (const address of [
    ...['127.0.0.1', '127.8.9.10', '::1', '0.0.0.0', '0.1.2.3', '::', '::ffff:127.0.0.1'],
    ...['::ffff:7f00:1', '::7f00:1', '::ffff:0:7f00:1', '64:ff9b::7f00:1', '64:ff9b:1::7f00:1'],
    ...['2002:7f00:1::', '2001:0:1:2:3:4:80ff:fffe', '169.254.1.1', 'fe80::1', 'fe80::1%eth0'],
    ...['FEBF::1', '0:0:0:0:0:0:0:1', '::ffff:169.254.1.1'],
  ])
    it(`are refused at ${address}`, () => {
      assert.match(refusal({}, address) ?? '', /loopback|this machine|link-local/);
      assert.ok(refusal({}, 'broker.example', ['10.1.1.1', address])?.includes(address));
    });

  for (const address of [
    ...['169.254.169.254', '169.254.170.2', '169.254.170.23', 'fd00:ec2::254', 'fd20:ce::254'],
    ...['100.100.100.200', '168.63.129.16', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe'],
  ])
    it(`are refused at ${address}, wherever the name server is`, () => {
      for (const nameServers of [REMOTE, ['127.0.0.1:9876']])
        assert.match(refusal({ nameServers }, address) ?? '', /metadata service/);
    });

  for (const name of ['metadata.google.internal', 'METADATA.google.internal.', 'instance-data'])
    it(`are refused under the name ${name}, before it is looked up`, () =>
      assert.match(refusal({}, name) ?? '', /metadata service/));

  for (const address of ['10.0.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1', '8.8.8.8', 'fd00::1', '2001:db8::1']) // biome-ignore format: one line
    it(`are dialled at ${address}`, () => {
      assert.equal(refusal({}, address), undefined);
      assert.equal(refusal({}, 'broker.example', [address]), undefined);
    });
});

describe('a zone behind an address', () => {
  it('makes a name of IPv4, whose addresses are checked', () => {
    assert.match(refusal({}, '8.8.8.8%x.example', ['127.0.0.1']) ?? '', /loopback/);
    const brokers = ['8.8.8.0/24'];
    assert.match(refusal({ brokers }, '8.8.8.8%x', ['9.9.9.9']) ?? '', /not in brokers/);
  });

  it('does not hide what IPv6 was looked up to', () =>
    assert.match(refusal({}, '2001:db8::1%a_b', ['::1']) ?? '', /loopback/));
});

describe('brokers of a local name server', () => {
  for (const nameServer of ['127.0.0.1:1', 'localhost:1', '[::1]:1', 'ns.localhost:1', '0.0.0.0:1'])
    it(`may be local: ${nameServer}`, () => {
      const nameServers = ['10.0.0.9:9876', nameServer];
      for (const address of ['127.0.0.1', '::1', '0.0.0.0', '169.254.1.1'])
        assert.equal(refusal({ nameServers }, address), undefined);
    });

  it('is local by what is written, not by what a resolver says', () => {
    for (const nameServers of [['ns.example:1'], ['127.1:1'], ['localhost.example:1']])
      assert.ok(refusal({ nameServers }, '127.0.0.1'));
  });
});

describe('a name server under a name of the hosts file', () => {
  const hosts = [
    '# 127.0.0.1 commented',
    '127.0.0.1\tlocalhost',
    '127.0.1.1  my-host  my-host.example # the machine',
    '10.0.0.9 remote',
    '::1 six',
    '',
  ].join('\r\n');
  const local = (name: string, address = '127.0.0.1') =>
    new DialRules({ nameServers: [`${name}:9876`] }, (host) => addressesIn(hosts, host)).refusal(
      address,
      [],
    ) === undefined;

  for (const name of ['my-host', 'MY-HOST.example.', 'six'])
    it(`is local: ${name}`, () => {
      assert.ok(local(name) && local(name, '::1'));
      assert.equal(local(name, '169.254.169.254'), false);
    });

  for (const name of ['remote', 'commented', 'elsewhere', 'the', 'machine', '10.0.0.9'])
    it(`is not local: ${name}`, () => assert.equal(local(name), false));
});

describe('a name with several addresses', () => {
  const rules = new DialRules({ nameServers: REMOTE });
  const dialable = (...addresses: string[]) =>
    rules.dialable(
      'broker.example',
      addresses.map((address) => ({ address })),
    );

  it('is dialled at those that may be dialled', () => {
    for (const bad of ['fe80::1%eth0', '127.0.0.1', '169.254.169.254', '::ffff:127.0.0.1'])
      assert.deepEqual(dialable(bad, '10.1.1.1', bad, 'fd00::1'), {
        addresses: [{ address: '10.1.1.1' }, { address: 'fd00::1' }],
      });
  });

  it('is refused with the reason where there is none', () => {
    assert.match(JSON.stringify(dialable('fe80::1', '127.0.0.1')), /resolves to fe80::1, which is/);
    assert.match(JSON.stringify(dialable()), /has no address/);
    const listed = new DialRules({ nameServers: REMOTE, brokers: ['10.1.0.0/16'] });
    const addresses = [{ address: '10.2.0.1' }, { address: '10.1.0.1' }];
    assert.deepEqual(listed.dialable('b.example', addresses), { addresses: [addresses[1]] });
  });
});

describe('addressMap', () => {
  // As a YAML or JSON file has them.
  const keys = ['constructor', '__proto__', 'toString', 'hasOwnProperty'];

  it('has no entry that nobody wrote', () => {
    for (const key of keys)
      for (const map of [undefined, {}]) {
        const brokers = new Brokers(map);
        assert.equal(brokers.reachable(key), key);
        assert.match(brokers.advice(key), /translate it with addressMap/);
      }
    const rules = new DialRules({ nameServers: REMOTE });
    for (const key of keys) assert.equal(rules.isTrusted(key), false);
  });

  it('translates names that objects have', () => {
    for (const key of keys)
      for (const announced of [key, `${key}:10911`]) {
        const map = JSON.parse(`{${JSON.stringify(announced)}:"10.0.0.1:1"}`);
        assert.equal(new Brokers(map).reachable(announced), '10.0.0.1:1');
        assert.ok(new DialRules({ nameServers: REMOTE, addressMap: map }).isTrusted('10.0.0.1:1'));
      }
  });

  it('is read as it was written, by a client that connects to what it says', async () => {
    for (const key of keys) {
      const broker = await startFrameServer((command, peer) =>
        peer.answer(command, getMaxOffset.encodeAnswer(7n)),
      );
      const queues = [
        { brokerName: 'b', readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 },
      ];
      const brokers = [
        { cluster: 'C', brokerName: 'b', brokerAddrs: new Map([[0, `${key}:10911`]]) },
      ];
      const nameServer = await startFrameServer((command, peer) =>
        peer.answer(command, getRoute.encodeAnswer({ brokers, queues, mappedBrokers: [] })),
      );
      const client = createRocketMQClient({
        nameServers: [nameServer.address],
        addressMap: JSON.parse(`{"${key}:10911":"${broker.address}"}`),
      });
      try {
        assert.equal(
          await client.maxOffset({ topic: 'orders', brokerName: 'b', queueId: 0 }),
          7n,
          key,
        );
      } finally {
        await client.close();
        await Promise.all([broker.stop(), nameServer.stop()]);
      }
    }
  });
});

describe('brokers of the cluster', () => {
  const brokers = ['10.1.0.0/16', 'fd00::/8', 'broker-a.mq.internal', '*.svc.local', '192.0.2.7'];

  it('allows blocks, addresses, names and names below one', () => {
    for (const [host, addresses] of [
      ['10.1.255.255', []],
      ['::ffff:10.1.0.1', []],
      ['fdff::1', []],
      ['192.0.2.7', []],
      ['Broker-A.mq.internal.', ['203.0.113.1']],
      ['b-0.b.svc.local', ['203.0.113.1']],
      ['other.example', ['10.1.0.1', 'fd00::1']],
    ] as const)
      assert.equal(refusal({ brokers }, host, [...addresses]), undefined, host);
  });

  it('refuses everything else, by name or by any address', () => {
    for (const [host, addresses] of [
      ['10.2.0.1', []],
      ['192.0.2.8', []],
      ['other.example', ['10.1.0.1', '10.2.0.1']],
      ['svc.local', ['203.0.113.1']],
      ['evilsvc.local', ['203.0.113.1']],
    ] as const)
      assert.match(refusal({ brokers }, host, [...addresses]) ?? '', /not in brokers/, host);
    const local = { brokers, nameServers: ['127.0.0.1:1'] };
    assert.match(refusal(local, '127.0.0.1') ?? '', /not in brokers/);
  });

  it('opens local and metadata addresses only where it lists them as such', () => {
    const allowed = (entry: string, address: string) =>
      refusal({ brokers: [entry] }, address) === undefined;
    for (const entry of ['0.0.0.0/0', '::/0', '*.example', '126.0.0.0/7'])
      assert.equal(allowed(entry, '127.0.0.1'), false, entry);
    assert.ok(refusal({ brokers: ['b.example'] }, 'b.example', ['127.0.0.1']));
    assert.ok(allowed('127.0.0.0/8', '127.0.0.1') && allowed('127.0.0.1', '127.0.0.1'));
    assert.equal(allowed('169.254.0.0/16', '169.254.169.254'), false);
    assert.ok(allowed('169.254.169.254', '169.254.169.254'));
  });

  for (const entry of ['', '10.0.0.0/33', '10.0.0/8', '1.2.3.4/x', 'a b', '127.1', '0x7f.0x1', '*', 'fd00::/129', 'a/b', '-a', 'x:1']) // biome-ignore format: one line
    it(`is refused with ${JSON.stringify(entry)}`, () =>
      assert.throws(
        () => createRocketMQClient({ nameServers: REMOTE, brokers: [entry] }),
        (error: unknown) => error instanceof ConfigError && /brokers\[0\]/.test(error.message),
      ));
});

describe('the socket', () => {
  const server = createServer((socket) => socket.destroy());
  let accepted = 0;
  server.on('connection', () => accepted++);
  let port = 0;
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
  });
  after(() => server.close());

  const rules = new DialRules({ nameServers: REMOTE, addressMap: { 'x:1': 'localhost:2' } });
  // What resolvers take for 127.0.0.1.
  for (const host of ['127.0.0.1', 'localhost', '2130706433', '0x7f000001', '0177.0.0.1', '127.1'])
    it(`is not opened to ${host}`, async () => {
      const { signal } = new AbortController();
      for (const tls of [undefined, { enabled: true, verify: false }])
        await assert.rejects(openSocket(`${host}:${port}`, tls, signal, rules), {
          code: 'ROCKETMQ_ADDRESS_REFUSED',
        });
      assert.equal(accepted, 0);
    });

  it('is opened to what the configuration names', async () => {
    const config = { nameServers: [...REMOTE, `127.0.0.1:${port}`] };
    const { signal } = new AbortController();
    (await openSocket(`127.0.0.1:${port}`, undefined, signal, new DialRules(config))).destroy();
    const mapped = new DialRules({
      nameServers: REMOTE,
      addressMap: { 'x:1': `localhost:${port}` },
    });
    (await openSocket(`localhost:${port}`, undefined, signal, mapped)).destroy();
  });
});

it('a refused broker has a named error, a line in the log and no connection', async () => {
  const lines: object[] = [];
  const log = (fields: object): void => void lines.push(fields);
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: log,
    error: log,
    child: () => logger,
  };
  const broker = await startFrameServer(() => assert.fail('dialled'));
  const queues = [
    { brokerName: 'broker-a', readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 },
  ];
  const nameServer = await startFrameServer((command, peer) =>
    peer.answer(
      command,
      getRoute.encodeAnswer({
        brokers: [
          { cluster: 'C', brokerName: 'broker-a', brokerAddrs: new Map([[0, broker.address]]) },
        ],
        queues,
        mappedBrokers: [],
      }),
    ),
  );
  const client = createRocketMQClient(
    { nameServers: [nameServer.address], brokers: ['10.0.0.0/8'] },
    { logger },
  );
  try {
    const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
    for (let call = 0; call < 2; call++)
      await assert.rejects(client.maxOffset(queue), (error: unknown) => {
        assert.ok(error instanceof AddressRefusedError && error.maybeSent === false);
        assert.match(
          error.message,
          /broker-a has in the route of topic "orders": 127\.0\.0\.1 is not in brokers of the cluster.*addressMap/,
        );
        return true;
      });
    const refused = lines.filter((line) => 'code' in line);
    assert.deepEqual(refused, [
      {
        code: 'ROCKETMQ_ADDRESS_REFUSED',
        address: broker.address,
        reason: '127.0.0.1 is not in brokers of the cluster',
      },
    ]);
  } finally {
    await client.close();
    await Promise.all([broker.stop(), nameServer.stop()]);
  }
});
