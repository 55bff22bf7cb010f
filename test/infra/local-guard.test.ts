import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startGuardedProxy } from '../../cli/local/guarded-proxy.ts';
import { startReportServer } from '../../cli/local/report-server.ts';
import { startLocalDynamoDB } from '../../infra/embedded-parts.ts';
import { guardPort, isAllowedLocally } from '../../infra/local-guard.ts';

/** What browsers send for pages of other origins, and after DNS rebinding. */
const OF_PAGES = [
  { origin: 'http://evil.example' },
  { origin: 'http://10.0.0.7:8080' },
  { origin: 'http://intranet:8080' },
  { origin: 'http://localhost:5173' },
  { origin: 'null' },
  { origin: '' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { 'sec-fetch-site': 'same-origin' },
  { host: 'evil.example' },
  { host: 'evil.example:3002' },
  { host: 'localhost.evil.example:3002' },
  { host: '127.0.0.1.evil.example' },
  { host: 'localhost@evil.example' },
  {
    host: 'evil.example:3002',
    origin: 'http://evil.example:3002',
    'sec-fetch-site': 'same-origin',
  },
  { host: '' },
];

test('web pages and other host names are refused; programs of this machine are not', () => {
  for (const headers of OF_PAGES)
    assert.equal(
      isAllowedLocally({ host: '127.0.0.1:3002', ...headers }),
      false,
      JSON.stringify(headers),
    );
  assert.equal(isAllowedLocally({}), false, 'no host');
  for (const host of ['localhost:3002', 'LOCALHOST', '127.0.0.1:3002', '[::1]:3002'])
    assert.equal(isAllowedLocally({ host }), true, host);
  assert.equal(isAllowedLocally({ host: 'localhost', 'sec-fetch-site': 'none' }), true);
});

test('a server for the whole network is called by its addresses, never by names', () => {
  assert.equal(isAllowedLocally({ host: '192.168.1.5:3002' }), false);
  assert.equal(isAllowedLocally({ host: '192.168.1.5:3002' }, '0.0.0.0'), true);
  assert.equal(isAllowedLocally({ host: '[fd00::5]:3002' }, '::'), true);
  assert.equal(isAllowedLocally({ host: 'evil.example:3002' }, '0.0.0.0'), false);
  assert.equal(isAllowedLocally({ host: 'devbox:3002' }, 'devbox'), true);
});

for (const [name, start] of [
  ['the embedded DynamoDB', async () => startLocalDynamoDB()],
  [
    'the report server of npm start',
    async () => {
      const reports = await startReportServer(() => assert.fail('a page reported a delivery'));
      return { endpoint: reports.url, stop: () => reports.stop() };
    },
  ],
  ['the proxy of DynamoDB Local', async (t: TestContext) => startGuardedProxy(await forbidden(t))],
] as const)
  test(`${name} answers no page`, async (t) => {
    const server = await start(t);
    t.after(() => server.stop());
    for (const headers of OF_PAGES.filter(({ host }) => host !== '')) {
      const answer = await post(server.endpoint, headers, '[{}]');
      assert.equal(answer.status, 403, JSON.stringify(headers));
      assert.equal(answer.allowed, undefined);
    }
  });

test('a server of another plugin never sees the path that a page asked for', async (t) => {
  const seen: (string | undefined)[] = [];
  const server = createServer((asked, response) => {
    seen.push(`${asked.method} ${asked.url}`);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const endpoint = `http://127.0.0.1:${port}/functions/operator`;
  const end = guardPort(port, 'localhost');
  t.after(end);
  for (const headers of OF_PAGES.filter(({ host }) => host !== ''))
    await post(endpoint, headers, '{}');
  assert.deepEqual([...new Set(seen.splice(0))], ['GET /rocketmq-refused']);
  await post(endpoint, {}, '{}');
  assert.deepEqual(seen.splice(0), ['POST /functions/operator']);
  end();
  await post(endpoint, { origin: 'http://evil.example' }, '{}');
  assert.deepEqual(seen, ['POST /functions/operator'], 'the guard ends with its run');
});

async function forbidden(t: TestContext): Promise<string> {
  const server = createServer(() => assert.fail('the request of a page got through'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function post(
  endpoint: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<{ status: number | undefined; allowed: unknown }> {
  return new Promise((resolve, reject) => {
    const asked = request(endpoint, { method: 'POST', headers, agent: false }, (answer) => {
      answer.resume().once('end', () =>
        resolve({
          status: answer.statusCode,
          allowed: answer.headers['access-control-allow-origin'],
        }),
      );
    });
    asked.once('error', reject).end(body);
  });
}
