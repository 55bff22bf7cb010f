import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { RocketMQError } from '../../../src/errors.ts';
import type { PullerRequest } from '../../../src/ports/invoke.ts';
import { createPullerInvoker } from '../../../src/runtime/puller-invoker.ts';

const REQUEST: PullerRequest = {
  cluster: 'default',
  consumerGroup: 'g',
  slot: 1,
  queues: [{ topic: 't', brokerName: 'b', queueId: 3 }],
  notAfter: 99,
};

interface Seen {
  readonly url: string | undefined;
  readonly type: string | string[] | undefined;
  readonly body: string;
}

/** A Lambda endpoint that answers one thing. */
async function lambda(t: TestContext, status: number, errorType?: string) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen.push({
      url: request.url,
      type: request.headers['x-amz-invocation-type'],
      body: Buffer.concat(chunks).toString(),
    });
    response
      .writeHead(status, errorType === undefined ? {} : { 'x-amzn-errortype': errorType })
      .end(errorType === undefined ? '' : '{"Message":"no"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new LambdaClient({
    endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    maxAttempts: 1,
  });
  t.after(() => {
    client.destroy();
    server.close();
  });
  return { client, seen };
}

test('a puller is started as an asynchronous invocation with the request as payload', async (t) => {
  const { client, seen } = await lambda(t, 202);
  await createPullerInvoker(client, 'shop-dev-rocketmqPuller').invoke(REQUEST);
  assert.deepEqual(
    seen.map(({ url, type, body }) => [url, type, JSON.parse(body)]),
    [['/2015-03-31/functions/shop-dev-rocketmqPuller/invocations', 'Event', REQUEST]],
  );
});

for (const [status, type, advice] of [
  [
    404,
    'ResourceNotFoundException',
    /was not started \(ResourceNotFoundException\): the puller function does not exist: deploy/,
  ],
  [
    403,
    'AccessDeniedException',
    /\(AccessDeniedException\): the coordinator's role may not invoke it/,
  ],
  [
    429,
    'TooManyRequestsException',
    /\(TooManyRequestsException\): the account or the function is out of concurrency/,
  ],
  [500, 'ServiceException', /\(ServiceException\): no/],
] as const)
  test(`${type} is a named error with what to do`, async (t) => {
    const { client } = await lambda(t, status, type);
    await assert.rejects(createPullerInvoker(client, 'puller').invoke(REQUEST), (error) => {
      assert.ok(error instanceof RocketMQError);
      assert.equal(error.code, 'ROCKETMQ_PULLER_INVOKE');
      assert.match(error.message, advice);
      return true;
    });
  });

test('an endpoint that cannot be reached', async () => {
  const client = new LambdaClient({
    endpoint: 'http://127.0.0.1:1',
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    maxAttempts: 1,
  });
  await assert.rejects(
    createPullerInvoker(client, 'puller').invoke(REQUEST),
    /puller puller was not started .*Lambda cannot be reached/,
  );
  client.destroy();
});
