import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { chromium, type Page } from 'playwright-core';
import { startOffline } from '../../cli/local/offline.ts';
import { startReportServer } from '../../cli/local/report-server.ts';
import { READY_LINE } from '../../infra/offline.ts';
import { localTableName } from '../../infra/resources/names.ts';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { startDynalite } from '../support/dynalite.ts';
import { CHROMIUM, missingBrowser } from '../support/stack.ts';

const GROUP = { cluster: 'default', consumerGroup: 'order-worker' };
const QUEUES = 4;
const MESSAGES = 40;
const PATIENCE_MS = 30_000;
/** Where pages of a home or company network come from. */
const PRIVATE = ['192.168.1.7', '10.0.0.7', '172.16.0.7', '169.254.1.7'];
/** Names whose owner lets them mean this machine, after the page was loaded. */
const REBOUND = ['evil.example', 'intranet', '192.168.1.7'];

test('the sample under serverless offline takes messages from the first moment, and drains when it is asked to end', {
  timeout: 120_000,
}, async (t) => {
  await using rocketmq = await startEmbeddedRocketMQ();
  rocketmq.createTopic('orders', { queues: QUEUES });
  const dynamodb = await startDynalite();
  t.after(() => dynamodb.stop());
  const done = new Set<number>();
  const reports = await startReportServer(({ orderId, outcome }) => {
    if (outcome === 'done') done.add(orderId);
  });
  t.after(() => reports.stop());

  const output: string[] = [];
  const started = performance.now();
  const service = await startOffline(
    {
      AWS_ENDPOINT_URL_DYNAMODB: dynamodb.endpoint,
      ROCKETMQ_NAME_SERVERS: rocketmq.nameServers.join(';'),
      SAMPLE_REPORT_URL: reports.url,
    },
    (line) => output.push(line),
    (line) => line.includes(READY_LINE),
  );
  t.after(() => service.stop(1));
  t.diagnostic(`ready after ${since(started)} ms`);

  const client = createRocketMQClient({ nameServers: rocketmq.nameServers });
  t.after(() => client.close());
  for (let orderId = 0; orderId < MESSAGES; orderId++)
    await client.send({
      topic: 'orders',
      body: Buffer.from(JSON.stringify({ runId: 'offline-test', orderId, failTimes: 0 })),
    });
  const sent = performance.now();
  while (done.size < MESSAGES) {
    if (performance.now() - sent > PATIENCE_MS)
      assert.fail(`${done.size} of ${MESSAGES} messages handled\n${output.join('\n')}`);
    await sleep(50);
  }
  t.diagnostic(`all handled ${since(sent)} ms after the last was sent`);

  const table = new DynamoDBClient({
    endpoint: dynamodb.endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  t.after(() => table.destroy());
  const store = createAssignmentStore(table, localTableName('serverless-rocketmq-sample', 'dev'), {
    keys: { service: 'serverless-rocketmq-sample', stage: 'dev' },
    newToken: () => 'unused',
  });
  const held = async () =>
    (await store.list(GROUP)).filter(
      ({ lease }) => lease !== undefined && lease.leaseUntil > Date.now(),
    ).length;
  assert.ok((await held()) > 0, 'pullers hold leases while they run');

  await t.test('the operator is not on its Lambda port', async () => {
    const answer = await fetch(invocations(service.lambdaPort, 'rocketmqOperator'), {
      method: 'POST',
      body: JSON.stringify({ rocketmqOperator: { version: 1, command: 'status' } }),
    });
    assert.equal(answer.status, 404);
  });
  await t.test('coordinator and puller take requests of their run only', async () => {
    for (const key of ['rocketmqCoordinator', 'rocketmqPuller'])
      for (const body of ['{}', '{"runToken":"guessed"}', 'null', '[]']) {
        const request = { method: 'POST', body };
        const answer = await fetch(invocations(service.lambdaPort, key), request);
        assert.match(await answer.text(), /takes requests of its local run only/, `${key} ${body}`);
      }
  });
  await t.test('preflights for private networks are refused', async () => {
    for (const url of [
      invocations(service.lambdaPort, 'rocketmqPuller'),
      invocations(service.lambdaPort, 'orders'),
      dynamodb.endpoint,
    ]) {
      const answer = await fetch(url, {
        method: 'OPTIONS',
        headers: {
          origin: 'http://192.168.1.7',
          'access-control-request-method': 'POST',
          'access-control-request-private-network': 'true',
          'access-control-request-local-network': 'true',
        },
      });
      assert.ok([403, 404].includes(answer.status), `${answer.status} ${url}`);
      for (const scope of ['private', 'local'])
        assert.equal(answer.headers.get(`access-control-allow-${scope}-network`), null);
    }
  });
  await t.test(
    'pages of other origins, and of rebound names, reach no function and no table',
    { skip: missingBrowser() },
    () => attackFromPages(service.lambdaPort, dynamodb.endpoint),
  );

  const asked = performance.now();
  await service.stop();
  t.diagnostic(`drained in ${since(asked)} ms`);
  assert.equal(await service.ended, 0, output.join('\n'));
  assert.match(output.join('\n'), /drained, every lease is released/);
  assert.equal(await held(), 0);
  for (let queueId = 0; queueId < QUEUES; queueId++)
    assert.equal(
      rocketmq.offset(GROUP.consumerGroup, { topic: 'orders', queueId }),
      rocketmq.maxOffset({ topic: 'orders', queueId }),
      `queue ${queueId}`,
    );
});

function invocations(port: number, key: string, host = '127.0.0.1'): string {
  return `http://${host}:${port}/2015-03-31/functions/serverless-rocketmq-sample-dev-${key}/invocations`;
}

/** Requests of a page in a browser whose resolver says 127.0.0.1 to every name. None of their answers may be read, and no function may run. */
async function attackFromPages(lambdaPort: number, dynamodb: string): Promise<void> {
  const pages = createServer((_request, response) =>
    response
      .writeHead(200, { 'content-type': 'text/html' })
      .end('<!doctype html><title>page</title>'),
  );
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  const port = (pages.address() as AddressInfo).port;
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      // Addresses of a private network are pages of this machine, too.
      `--host-resolver-rules=MAP *.example 127.0.0.1, MAP intranet 127.0.0.1, ${PRIVATE.map((address) => `MAP ${address} 127.0.0.1`).join(', ')}`,
    ],
  });
  try {
    const page = await browser.newPage();
    const functions = ['orders', 'rocketmqCoordinator', 'rocketmqPuller', 'rocketmqOperator'];
    for (const origin of [
      `http://evil.example:${port}`,
      `http://intranet:${port}`,
      ...PRIVATE.map((address) => `http://${address}:${port}`),
      `http://localhost:${port}`,
      `http://127.0.0.1:${port}`,
    ]) {
      await page.goto(origin);
      assert.equal(await page.title(), 'page', origin);
      for (const url of [...functions.map((key) => invocations(lambdaPort, key)), dynamodb])
        assert.equal(await statusInPage(page, url), 'blocked or 404', `${url} from ${origin}`);
    }
    // Rebound: the page's own name is the machine's now.
    const paths = new URL(invocations(lambdaPort, 'orders')).pathname;
    for (const { host, path } of REBOUND.flatMap((name) => [
      { host: `${name}:${lambdaPort}`, path: paths },
      { host: `${name}:${new URL(dynamodb).port}`, path: '/' },
    ])) {
      await page.goto(`http://${host}/`).catch(() => undefined);
      assert.equal(await statusInPage(page, `http://${host}${path}`), 'blocked or 404', host);
    }
  } finally {
    await browser.close();
    pages.close();
  }
}

function statusInPage(page: Page, url: string): Promise<string> {
  return page.evaluate(
    `fetch(${JSON.stringify(url)}, { method: 'POST', body: '{"Records":[]}' }).then(
      async (answer) => [403, 404].includes(answer.status) ? 'blocked or 404' : answer.status + ' ' + await answer.text(),
      () => 'blocked or 404')`,
  );
}

function since(start: number): number {
  return Math.round(performance.now() - start);
}
