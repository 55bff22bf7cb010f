import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Context } from 'aws-lambda';
import { bundle } from '../../infra/bundle.ts';
import { pullerEntry } from '../../infra/entries.ts';
import { createS3Bodies } from '../../src/destinations/s3-bodies.ts';
import { createHandler } from '../../src/index.ts';
import type { RocketMQEvent, RocketMQRecord, S3Pointer } from '../../src/model/event.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { SubscriptionConfig } from '../../src/model/source.ts';
import type { PullerRequest } from '../../src/ports/invoke.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { countingMeter } from '../support/counting-meter.ts';
import { TABLE } from '../support/databases.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import {
  at,
  createPullerWorld,
  GROUP,
  type PullerWorld,
  RETRY,
  recorder,
} from '../support/puller-world.ts';
import { missingPythonTools } from '../support/stack.ts';

const bucketArn = (name: string) => `arn:aws:s3:::${name}`;
const threshold = (bucket: string, bytes = 100) => ({
  s3PointerThreshold: { bytes, bucket: bucketArn(bucket), prefix: 'bodies' },
});
const INLINE = {
  invocation: 'inline',
  functionKey: 'handler',
  functionName: 'handler',
  timeout: 10,
} as const;
const LARGE = JSON.stringify({ orderId: 17, note: 'ß'.repeat(100) });

/** Bodies go to the S3 of moto and are read back from there. */
describe('s3PointerThreshold', { skip: missingPythonTools() }, () => {
  let moto: Moto;
  let s3: S3Client;
  let world: PullerWorld;
  before(async () => {
    moto = await startMoto('eu-west-1');
    Object.assign(process.env, moto.env);
    s3 = new S3Client({});
  });
  after(async () => {
    s3?.destroy();
    await moto?.stop();
  });
  afterEach(() => world.stop());

  const createBucket = (Bucket: string) =>
    s3.send(
      new CreateBucketCommand({
        Bucket,
        CreateBucketConfiguration: { LocationConstraint: 'eu-west-1' },
      }),
    );
  const fetchBody = async ({ bucket, key }: S3Pointer) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return (await Body?.transformToByteArray()) ?? assert.fail('no body');
  };
  const keys = async (Bucket: string) =>
    ((await s3.send(new ListObjectsV2Command({ Bucket }))).Contents ?? []).map(
      ({ Key = '' }) => Key,
    );
  const started = async (
    bodies: readonly (string | Buffer)[],
    shardingKeys: readonly string[] = [],
  ) => {
    world = await createPullerWorld();
    await world.prepare(1);
    await world.produce(bodies.length, 0, (n) => ({
      body: Buffer.from(bodies[n] ?? ''),
      properties: {
        tenant: 'acme',
        ...(shardingKeys[n] === undefined ? {} : { __SHARDINGKEY: shardingKeys[n] }),
      },
    }));
  };
  const run = (
    handler: Parameters<PullerWorld['start']>[0],
    own: Partial<SubscriptionConfig>,
    meter = countingMeter().meter,
  ) =>
    world.start(handler, {
      queues: [at(0), RETRY],
      deps: { bodies: createS3Bodies(), meter },
      subscriptions: [own],
    });
  const seen = async (records: readonly RocketMQRecord[], count: number) => {
    while (records.length < count) await sleep(10);
  };

  test('a larger body is in the bucket, its record is what Amazon’s SQS Extended Client would have made of it', async () => {
    await createBucket('formats');
    const binary = Buffer.from([0xff, 0xfe, ...Buffer.alloc(200)]);
    await started([LARGE, 'small', binary]);
    const { records, handler } = recorder();
    const puller = run(handler, threshold('formats'));
    await seen(records, 3);
    await puller.stop();
    assert.equal(world.committed(), 3n);
    const [large, small, bytes] = records;
    const pointer = large?.rocketmq.s3Pointer ?? assert.fail('no pointer');
    assert.equal(pointer.bucket, 'formats');
    assert.match(
      pointer.key,
      new RegExp(`^bodies/default/${GROUP}/orders/${large?.messageId}-[0-9a-f]{32}$`),
    );
    assert.equal(
      large?.body,
      `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"formats","s3Key":"${pointer.key}"}]`,
      'as Jackson writes it',
    );
    const size = {
      dataType: 'Number',
      stringValue: String(Buffer.byteLength(LARGE)),
      stringListValues: [],
      binaryListValues: [],
    };
    assert.deepEqual(large?.messageAttributes.ExtendedPayloadSize, size);
    assert.equal(large?.messageAttributes.tenant?.stringValue, 'acme');
    assert.deepEqual(
      [large?.rocketmq.bodyEncoding, large?.rocketmq.bodySize],
      ['utf8', Buffer.byteLength(LARGE)],
    );
    assert.equal(Buffer.from(await fetchBody(pointer)).toString(), LARGE);
    assert.deepEqual(
      [small?.body, small?.rocketmq.s3Pointer, small?.messageAttributes.ExtendedPayloadSize],
      ['small', undefined, undefined],
    );
    assert.equal(bytes?.rocketmq.bodyEncoding, 'base64');
    assert.deepEqual(
      Buffer.from(await fetchBody(bytes?.rocketmq.s3Pointer ?? assert.fail('no pointer'))),
      binary,
      'its bytes, not base64',
    );
    assert.equal((await keys('formats')).length, 2);
  });

  test('a redelivery, which comes from the retry topic, has the same object', async () => {
    await createBucket('redeliveries');
    await started([LARGE]);
    const once = recorder(({ Records }) => ({
      batchItemFailures: Records.filter(({ rocketmq }) => rocketmq.reconsumeTimes === 0).map(
        ({ messageId }) => ({
          itemIdentifier: messageId,
        }),
      ),
    }));
    const puller = run(once.handler, threshold('redeliveries'));
    await seen(once.records, 2);
    await puller.stop();
    const [first, second] = once.records;
    assert.notEqual(first?.receiptHandle, second?.receiptHandle);
    assert.deepEqual(first?.rocketmq.s3Pointer, second?.rocketmq.s3Pointer);
    assert.equal((await keys('redeliveries')).length, 1);
  });

  test('what no event could carry: without a threshold to the DLQ as ever, with any a pointer', async () => {
    await createBucket('escapes');
    // Six bytes each in JSON.
    const controls = '\u0001'.repeat(1_100_000);
    const byLambda = { ...INLINE, invocation: 'function' } as const;
    await started([controls]);
    const { records, handler } = recorder();
    const puller = run(handler, { handler: byLambda, ...threshold('escapes', 6_000_000) });
    await seen(records, 1);
    await puller.stop();
    assert.equal(
      Buffer.from(
        await fetchBody(records[0]?.rocketmq.s3Pointer ?? assert.fail('no pointer')),
      ).toString(),
      controls,
    );
    await world.stop();
    await started([controls]);
    const without = run(handler, { handler: byLambda });
    while (world.broker.messages(dlqTopic(GROUP)).length === 0) await sleep(10);
    await without.stop();
    assert.equal(records.length, 1);
    assert.ok(world.logs.some(({ code }) => code === 'ROCKETMQ_EVENT_TOO_LARGE'));
  });

  test('a body that cannot be put waits with its message, and with what is behind it in its order; others go on; nothing fails', async () => {
    await started([LARGE, 'small 1', 'small 2'], ['a', 'a', 'b']);
    const { records, handler } = recorder();
    const { counts, meter } = countingMeter();
    const order = { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 10 } as const;
    const puller = run(handler, { ...threshold('not-there-yet'), order }, meter);
    await seen(records, 1);
    assert.equal(records[0]?.body, 'small 2');
    while (counts.InvokeErrorCount === undefined) await sleep(10);
    assert.ok(
      world.logs.some(
        ({ code, level }) => code === 'ROCKETMQ_BODY_NOT_STORED' && level === 'error',
      ),
    );
    assert.equal(world.committed(), 0n, 'the offset waits for it');
    await createBucket('not-there-yet');
    await seen(records, 3);
    await puller.stop();
    const [, large, behind] = records;
    assert.equal(
      Buffer.from(
        await fetchBody(large?.rocketmq.s3Pointer ?? assert.fail('no pointer')),
      ).toString(),
      LARGE,
    );
    assert.deepEqual([behind?.body, large?.attributes.ApproximateReceiveCount], ['small 1', '1']);
    assert.equal(world.committed(), 3n);
    assert.deepEqual([counts.RetriedEventCount, counts.FailedInvokeEventCount], [undefined, 0]);
    assert.deepEqual(world.broker.messages(dlqTopic(GROUP)), []);
  });

  test('without order: what could be put is put once, and delivered while the rest waits', async () => {
    await createBucket('half');
    await started([LARGE, 'small', `${LARGE} `]);
    const store = createS3Bodies();
    const puts: string[] = [];
    // The second body meets a bucket that is not there.
    const bodies: typeof store = {
      put: ({ bucket, key }, body, options) => {
        puts.push(key);
        return store.put(
          { bucket: body.length === Buffer.byteLength(LARGE) ? bucket : 'nowhere', key },
          body,
          options,
        );
      },
    };
    const { records, handler } = recorder();
    const puller = world.start(handler, { deps: { bodies }, subscriptions: [threshold('half')] });
    await seen(records, 2);
    await puller.stop();
    assert.deepEqual(
      [records[0]?.rocketmq.bodySize, records[1]?.body],
      [Buffer.byteLength(LARGE), 'small'],
    );
    const key = records[0]?.rocketmq.s3Pointer?.key ?? '';
    assert.equal(puts.filter((put) => put === key).length, 1);
    assert.equal(world.committed(), 2n);
  });

  test('the bundled puller puts, and createHandler fetches', async () => {
    await createBucket('bundled');
    await started([LARGE, '{"orderId":18}']);
    const folder = await mkdtemp(path.join(tmpdir(), 's3-pointer-'));
    try {
      const file = path.join(folder, 'orders.mjs');
      await writeFile(file, 'export const handler = (event) => globalThis.ordersHandler(event);\n');
      const sources = [
        source([
          subscription('orders', { ...threshold('bundled'), handler: { ...INLINE, timeout: 1 } }),
        ]),
      ];
      const clusters = { default: { nameServers: world.broker.nameServers } };
      const user = { functionKey: 'handler', file, exportName: 'handler' };
      const entry = pullerEntry({ service: 'shop', stage: 'dev', clusters, sources }, [user]);
      await bundle({ functionKey: 'puller', entry, resolveDir: folder, outDir: folder });
      const orders: unknown[] = [];
      const handleOrder = createHandler(
        { fetchBody },
        ({ data }) => void orders.push((data as { orderId: number }).orderId),
      );
      Object.assign(globalThis, {
        ordersHandler: (event: RocketMQEvent) => handleOrder(event, {} as Context),
      });
      Object.assign(process.env, {
        ROCKETMQ_TABLE: TABLE,
        AWS_ENDPOINT_URL_DYNAMODB: world.databaseEndpoint,
        ROCKETMQ_LOG_LEVEL: 'silent',
        POWERTOOLS_METRICS_DISABLED: 'true',
      });
      const { handler } = (await import(pathToFileURL(path.join(folder, 'index.mjs')).href)) as {
        handler: (request: PullerRequest, context: Partial<Context>) => Promise<unknown>;
      };
      const endsAt = Date.now() + 14_000;
      const request = {
        cluster: 'default',
        consumerGroup: GROUP,
        slot: 0,
        queues: [at(0)],
        notAfter: endsAt,
      };
      await handler(request, {
        awsRequestId: 'puller-1',
        getRemainingTimeInMillis: () => endsAt - Date.now(),
      });
      assert.equal(world.committed(), 2n);
      assert.deepEqual(orders, [17, 18]);
      assert.equal((await keys('bundled')).length, 1);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
