import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { startOffline } from '../../cli/local/offline.ts';
import { startReportServer } from '../../cli/local/report-server.ts';
import { READY_LINE } from '../../infra/offline.ts';
import { localTableName } from '../../infra/resources/names.ts';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { startDynalite } from '../support/dynalite.ts';

const GROUP = { cluster: 'default', consumerGroup: 'order-worker' };
const QUEUES = 4;
const MESSAGES = 40;
const PATIENCE_MS = 30_000;

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
    newToken: () => 'unused',
  });
  const held = async () =>
    (await store.list(GROUP)).filter(
      ({ lease }) => lease !== undefined && lease.leaseUntil > Date.now(),
    ).length;
  assert.ok((await held()) > 0, 'pullers hold leases while they run');

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

function since(start: number): number {
  return Math.round(performance.now() - start);
}
