import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import { createLambdaHandler } from '../../../src/delivery/lambda-handler.ts';
import { RocketMQError } from '../../../src/errors.ts';
import type { RocketMQEvent } from '../../../src/model/event.ts';
import { localHandlerClient } from '../../support/local-aws.ts';

const EVENT = { Records: [{ body: 'grüße' }] } as unknown as RocketMQEvent;
const PAYLOAD = { event: () => EVENT, json: () => JSON.stringify(EVENT) };

type Answerer = (request: IncomingMessage, response: ServerResponse) => void;

describe('handlers behind the Invoke API', () => {
  let answer: Answerer;
  let client: LambdaClient;
  const seen: { url: string | undefined; type: unknown; body: string; trace?: unknown }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { 'x-amz-invocation-type': type, 'x-amzn-trace-id': trace } = request.headers;
      seen.push({
        url: request.url,
        type,
        body: Buffer.concat(chunks).toString('utf8'),
        ...(trace === undefined ? {} : { trace }),
      });
      answer(request, response);
    });
  });

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    client = localHandlerClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
  after(async () => {
    client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    seen.length = 0;
  });

  const call = (options: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
    createLambdaHandler(client, 'shop-dev-orders').invoke(PAYLOAD, {
      timeoutMs: 1_000,
      ...options,
    });
  const answers = (payload: string, functionError?: string): Answerer => {
    return (_request, response) => {
      response.writeHead(
        200,
        functionError === undefined ? {} : { 'x-amz-function-error': functionError },
      );
      response.end(payload);
    };
  };
  const refuses = (
    status: number,
    type: string,
    headers: Record<string, string> = {},
  ): Answerer => {
    return (_request, response) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-amzn-errortype': type,
        ...headers,
      });
      response.end(JSON.stringify({ Type: 'User', Message: `${type} happened` }));
    };
  };

  it('asks once, synchronously, with the event', async () => {
    answer = answers('null');
    await call();
    assert.deepEqual(seen, [
      {
        url: '/2015-03-31/functions/shop-dev-orders/invocations',
        type: 'RequestResponse',
        body: '{"Records":[{"body":"grüße"}]}',
      },
    ]);
  });

  it('goes on with the trace of the messages, also inside of an invocation that has its own', async () => {
    answer = answers('null');
    const traceHeader =
      'Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1';
    const own = {
      AWS_LAMBDA_FUNCTION_NAME: 'puller',
      _X_AMZN_TRACE_ID: 'Root=1-aaaaaaaa-bbbbbbbbbbbbbbbbbbbbbbbb',
    };
    Object.assign(process.env, own);
    try {
      const handler = createLambdaHandler(client, 'shop-dev-orders');
      await handler.invoke({ ...PAYLOAD, traceHeader }, { timeoutMs: 1_000 });
      await handler.invoke(PAYLOAD, { timeoutMs: 1_000 });
    } finally {
      for (const name of Object.keys(own)) delete process.env[name];
    }
    assert.deepEqual(
      seen.map(({ trace }) => trace),
      [traceHeader, own._X_AMZN_TRACE_ID],
    );
  });

  for (const [payload, expected] of [
    ['null', null],
    ['', undefined],
    [
      '{"batchItemFailures":[{"itemIdentifier":"A"}]}',
      { batchItemFailures: [{ itemIdentifier: 'A' }] },
    ],
    ['"text"', 'text'],
    ['no json', 'no json'],
  ] as const)
    it(`the answer ${payload || '(nothing)'} is an answer`, async () => {
      answer = answers(payload);
      assert.deepEqual(await call(), { kind: 'answered', answer: expected });
    });

  it('a function error is the handler’s failure, with type and message from its payload', async () => {
    answer = answers(
      '{"errorType":"OrderError","errorMessage":"no such order","trace":[]}',
      'Unhandled',
    );
    assert.deepEqual(await call(), {
      kind: 'failed',
      errorType: 'OrderError',
      errorMessage: 'no such order',
    });
    answer = answers(
      '{"errorMessage":"RequestId: 1 Error: Task timed out after 3.00 seconds"}',
      'Unhandled',
    );
    const timedOut = await call();
    assert.deepEqual(
      [timedOut.kind, timedOut.kind === 'failed' && timedOut.errorType],
      ['failed', 'Unhandled'],
    );
    answer = answers('killed', 'Unhandled');
    assert.deepEqual(await call(), {
      kind: 'failed',
      errorType: 'Unhandled',
      errorMessage: 'killed',
    });
    for (const payload of ['null', '{"errorType":{"toString":1,"valueOf":1},"errorMessage":[]}']) {
      answer = answers(payload, 'Unhandled');
      assert.equal((await call()).kind, 'failed');
    }
  });

  for (const [status, type] of [
    [429, 'TooManyRequestsException'],
    [502, 'EC2ThrottledException'],
    [502, 'EC2UnexpectedException'],
    [502, 'ENILimitReachedException'],
    [502, 'SubnetIPAddressLimitReachedException'],
    [409, 'ResourceConflictException'],
    [409, 'SnapStartNotReadyException'],
    [502, 'ResourceNotReadyException'],
    [408, 'EFSMountTimeoutException'],
    [429, 'SomethingNewException'],
  ] as const)
    it(`${type} is nobody’s failure, and is not repeated by the SDK`, async () => {
      answer = refuses(status, type);
      const outcome = await call();
      assert.deepEqual(
        [outcome.kind, outcome.kind === 'unavailable' && outcome.error.name, seen.length],
        ['unavailable', type, 1],
      );
      assert.equal(outcome.kind === 'unavailable' && outcome.mayRun, false);
    });

  for (const [status, type] of [
    [500, 'ServiceException'],
    [502, 'SomethingNewException'],
    [503, 'ServiceUnavailable'],
    [504, 'GatewayTimeout'],
    [410, 'EFSIOException'],
  ] as const)
    it(`${status} ${type}: the function may be at work`, async () => {
      answer = refuses(status, type);
      const outcome = await call();
      assert.deepEqual(
        [outcome.kind, outcome.kind === 'unavailable' && outcome.mayRun, seen.length],
        ['unavailable', true, 1],
      );
    });

  for (const type of [
    'RequestTooLargeException',
    'RequestEntityTooLargeException',
    'SerializedRequestEntityTooLargeException',
  ])
    it(`${type} is about this event, not about the function`, async () => {
      answer = refuses(413, type);
      const outcome = await call();
      assert.ok(outcome.kind === 'too-large' && outcome.error instanceof RocketMQError);
      assert.equal(outcome.error.code, 'ROCKETMQ_EVENT_TOO_LARGE');
    });

  it('InvalidRequestContentException is a failure of this event', async () => {
    answer = refuses(400, 'InvalidRequestContentException');
    assert.deepEqual(await call(), {
      kind: 'failed',
      errorType: 'InvalidRequestContentException',
      errorMessage: 'InvalidRequestContentException happened',
    });
  });

  for (const [status, type, code] of [
    [404, 'ResourceNotFoundException', 'ROCKETMQ_HANDLER_NOT_FOUND'],
    [403, 'AccessDeniedException', 'ROCKETMQ_HANDLER_ACCESS_DENIED'],
    [403, 'UnrecognizedClientException', 'ROCKETMQ_HANDLER_ACCESS_DENIED'],
    [400, 'InvalidParameterValueException', 'ROCKETMQ_HANDLER_MISCONFIGURED'],
    [502, 'KMSAccessDeniedException', 'ROCKETMQ_HANDLER_MISCONFIGURED'],
    [502, 'KMSDisabledException', 'ROCKETMQ_HANDLER_MISCONFIGURED'],
    [502, 'InvalidSubnetIDException', 'ROCKETMQ_HANDLER_MISCONFIGURED'],
  ] as const)
    it(`${type} needs a person: ${code}`, async () => {
      answer = refuses(status, type);
      const outcome = await call();
      assert.ok(
        outcome.kind === 'misconfigured' && outcome.error instanceof RocketMQError,
        outcome.kind,
      );
      assert.equal(outcome.error.code, code);
      assert.match(outcome.error.message, new RegExp(`^shop-dev-orders: ${type}: `));
    });

  it('a broken connection is nobody’s failure, and the event is not sent again', async () => {
    answer = (request) => request.socket.destroy();
    const outcome = await call();
    assert.deepEqual(
      [outcome.kind, outcome.kind === 'unavailable' && outcome.mayRun],
      ['unavailable', true],
      'the function may be at work',
    );
    assert.equal(seen.length, 1);
  });

  it('nobody listening is nobody’s failure', async () => {
    const nowhere = localHandlerClient('http://127.0.0.1:1');
    const outcome = await createLambdaHandler(nowhere, 'shop-dev-orders').invoke(PAYLOAD, {
      timeoutMs: 1_000,
    });
    assert.deepEqual(
      [outcome.kind, outcome.kind === 'unavailable' && outcome.mayRun, seen.length],
      ['unavailable', false, 0],
    );
    nowhere.destroy();
  });

  it('no answer long after the handler’s timeout: the network lost it', async (context) => {
    const asked = Promise.withResolvers<void>();
    answer = () => asked.resolve();
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const outcome = call({ timeoutMs: 5_000 });
    await asked.promise;
    context.mock.timers.tick(20_000);
    const { kind, error } = (await outcome) as { kind: string; error: Error };
    assert.equal(kind, 'unavailable');
    assert.match(error.message, /no answer long after its timeout of 5000 ms/);
  });

  it('throws the signal’s reason when the call is ended', async () => {
    const controller = new AbortController();
    const reason = new Error('the lease is lost');
    answer = () => controller.abort(reason);
    await assert.rejects(call({ signal: controller.signal }), reason);
    await assert.rejects(call({ signal: controller.signal }), reason);
    assert.equal(seen.length, 1);
  });
});
