import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { buildRecord } from '../../../src/delivery/build-record.ts';
import { failureRecord } from '../../../src/delivery/failure-record.ts';
import { createS3Destination } from '../../../src/destinations/s3.ts';
import { createS3Bodies } from '../../../src/destinations/s3-bodies.ts';
import { createSnsDestination } from '../../../src/destinations/sns.ts';
import { createSqsDestination } from '../../../src/destinations/sqs.ts';
import { BodyNotStoredError } from '../../../src/errors.ts';
import { messageAt } from '../../support/records.ts';

function answerTo({ method, headers }: IncomingMessage, body: string): string {
  if (method === 'PUT') return '';
  if (!headers['content-type']?.includes('json'))
    return '<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>';
  // SQS tells the digest of what it got, and the SDK compares it.
  const { MessageBody } = JSON.parse(body) as { MessageBody: string };
  return JSON.stringify({
    MessageId: '1',
    MD5OfMessageBody: createHash('md5').update(MessageBody).digest('hex'),
  });
}

const NOW = Date.parse('2026-11-23T10:20:30.456Z');

/** What AWS would see: the requests of the real SDK, on loopback. */
describe('destinations of onFailure', () => {
  const requests: {
    readonly method: string | undefined;
    readonly url: string | undefined;
    readonly body: string;
  }[] = [];
  let server: Server;
  let status = 200;
  let refusal = '';
  let settings: object;
  before(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        requests.push({ method: request.method, url: request.url, body });
        response.writeHead(status, {
          'content-type': request.headers['content-type'] ?? 'text/xml',
        });
        response.end(status === 200 ? answerTo(request, body) : refusal);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    settings = {
      region: 'eu-west-1',
      endpoint: `http://127.0.0.1:${port}`,
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      maxAttempts: 1,
    };
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  const record = (fields: Parameters<typeof messageAt>[1] = {}) => {
    const context = {
      cluster: 'default',
      consumerGroup: 'workers',
      topic: 'orders',
      region: 'eu-west-1',
      accountId: '1',
      maxReconsumeTimes: 16,
      localRetries: 0,
      now: NOW,
    };
    const built = buildRecord(messageAt(7, fields), context);
    return failureRecord(built, {
      condition: 'RetryAttemptsExhausted',
      requestId: 'r',
      functionArn: 'f',
      now: NOW,
    });
  };

  test('an SQS queue, by its URL without asking for it', async () => {
    requests.length = 0;
    const sent = record();
    await createSqsDestination(new SQSClient(settings)).deliver(
      'arn:aws:sqs:eu-west-1:123456789012:dead',
      sent,
    );
    const body = JSON.parse(requests[0]?.body ?? '') as {
      QueueUrl: string;
      MessageBody: string;
      MessageGroupId?: string;
    };
    assert.equal(new URL(body.QueueUrl).pathname, '/123456789012/dead');
    assert.deepEqual(JSON.parse(body.MessageBody), JSON.parse(JSON.stringify(sent)));
    assert.equal(body.MessageGroupId, undefined);
    assert.equal(requests.length, 1);
  });

  test('a FIFO queue keeps the order of the message’s queue, and takes a repetition once', async () => {
    requests.length = 0;
    const destination = createSqsDestination(new SQSClient(settings));
    await destination.deliver('arn:aws:sqs:eu-west-1:123456789012:dead.fifo', record());
    await destination.deliver('arn:aws:sqs:eu-west-1:123456789012:dead.fifo', record());
    const [first, second] = requests.map(
      ({ body }) => JSON.parse(body) as { MessageGroupId: string; MessageDeduplicationId: string },
    );
    assert.match(first?.MessageGroupId ?? '', /^orders\/.+\/\d+$/);
    assert.match(first?.MessageDeduplicationId ?? '', /^[\w-]{1,128}$/);
    assert.equal(first?.MessageDeduplicationId, second?.MessageDeduplicationId);
  });

  test('names made of hostile texts are names that AWS takes, and none is that of another message', async () => {
    requests.length = 0;
    const hostile = `../${'é\u0000/'.repeat(500)}`;
    const sqs = createSqsDestination(new SQSClient(settings));
    const s3 = createS3Destination(new S3Client({ ...settings, forcePathStyle: true }));
    for (const end of ['a', 'b']) {
      const properties = { UNIQ_KEY: hostile + end, __SHARDINGKEY: hostile + end };
      await sqs.deliver('arn:aws:sqs:eu-west-1:1:dead.fifo', record({ properties }));
      await s3.deliver('arn:aws:s3:::dead', record({ properties }));
    }
    const sent = requests
      .filter(({ method }) => method === 'POST')
      .map(({ body }) => JSON.parse(body) as Record<string, string>);
    for (const name of ['MessageGroupId', 'MessageDeduplicationId']) {
      assert.equal(new Set(sent.map((one) => one[name])).size, 2);
      for (const one of sent) assert.match(one[name] ?? '', /^[!-~]{1,128}$/);
    }
    const keys = requests.filter(({ method }) => method === 'PUT').map(({ url }) => url ?? '');
    assert.equal(new Set(keys).size, 2);
    for (const key of keys)
      assert.match(decodeURIComponent(key.split('?')[0] ?? ''), /^\/dead(\/[\w.!-]+){8}$/);
  });

  test('an SNS topic', async () => {
    requests.length = 0;
    const sent = record();
    await createSnsDestination(new SNSClient(settings)).deliver(
      'arn:aws:sns:eu-west-1:123456789012:dead',
      sent,
    );
    const form = new URLSearchParams(requests[0]?.body);
    assert.equal(form.get('TopicArn'), 'arn:aws:sns:eu-west-1:123456789012:dead');
    assert.deepEqual(JSON.parse(form.get('Message') ?? ''), JSON.parse(JSON.stringify(sent)));
  });

  test('an S3 bucket: one object, its key by group, topic and day', async () => {
    requests.length = 0;
    await createS3Destination(new S3Client({ ...settings, forcePathStyle: true })).deliver(
      'arn:aws:s3:::dead-letters',
      record(),
    );
    assert.equal(requests[0]?.method, 'PUT');
    const path = decodeURIComponent(requests[0]?.url?.split('?')[0] ?? '');
    assert.match(
      path,
      /^\/dead-letters\/rocketmq\/default\/workers\/orders\/2026\/11\/23\/2026-11-23T10\.20\.30\.456Z-.+-\d+-7\.json$/,
    );
  });

  test('a body: its bytes, and a refusal says what to do', async () => {
    requests.length = 0;
    const bodies = createS3Bodies(new S3Client(settings));
    const options = { signal: new AbortController().signal };
    const pointer = {
      bucket: 'large-orders',
      key: 'rocketmq-bodies/default/workers/orders/AC1A-0',
    };
    await bodies.put(pointer, Buffer.from('{"orderId":17}'), options);
    assert.deepEqual(
      [requests[0]?.method, requests[0]?.url?.split('?')[0]],
      ['PUT', `/${pointer.bucket}/${pointer.key}`],
    );
    assert.equal(requests[0]?.body, '{"orderId":17}');
    for (const [code, advice] of [
      ['AccessDenied', /AccessDenied: .*Allow s3:PutObject/],
      ['NoSuchBucket', /NoSuchBucket: .*Create the bucket/],
      ['SlowDown', /SlowDown: .*It is tried again$/],
    ] as const) {
      [status, refusal] = [403, `<Error><Code>${code}</Code><Message>no</Message></Error>`];
      await assert.rejects(bodies.put(pointer, Buffer.from('x'), options), (error) => {
        assert.ok(error instanceof BodyNotStoredError);
        assert.match(error.message, advice);
        return error.code === 'ROCKETMQ_BODY_NOT_STORED' && error.key === pointer.key;
      });
    }
    [status, refusal] = [200, ''];
  });

  test('a refusal is an error, never taken for delivered', async () => {
    status = 403;
    const destinations = [
      [createSqsDestination(new SQSClient(settings)), 'arn:aws:sqs:eu-west-1:123456789012:dead'],
      [createSnsDestination(new SNSClient(settings)), 'arn:aws:sns:eu-west-1:123456789012:dead'],
      [
        createS3Destination(new S3Client({ ...settings, forcePathStyle: true })),
        'arn:aws:s3:::dead',
      ],
    ] as const;
    for (const [destination, arn] of destinations)
      await assert.rejects(destination.deliver(arn, record()));
  });
});
