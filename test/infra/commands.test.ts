import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { Context } from 'aws-lambda';
import { createOperatorHandler } from '../../handlers/operator.ts';
import { COMMANDS } from '../../infra/commands/all-commands.ts';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { startChild } from '../support/child-process.ts';
import { connect, TABLE, TENANT } from '../support/databases.ts';
import { advised } from '../support/documented-commands.ts';
import { startDynalite } from '../support/dynalite.ts';
import { shell } from '../support/shell.ts';
import { ROOT } from './package-service.ts';

const BIN = path.join(ROOT, 'infra/commands/bin.ts');
const OSLS = createRequire(import.meta.url).resolve('serverless/bin/serverless.js');

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The commands as processes: what they print where, and how they end. */
describe('commands', () => {
  let mq: EmbeddedRocketMQ;
  let client: RocketMQClient;
  let database: Awaited<ReturnType<typeof startDynalite>>;
  let lambda: { url: string; invoked: string[]; stop(): Promise<void> };
  let environment: Record<string, string>;
  before(async () => {
    mq = await startEmbeddedRocketMQ();
    mq.createTopic('orders', { queues: 2 });
    client = createRocketMQClient({ nameServers: mq.nameServers });
    await client.createGroup('order-worker');
    for (let n = 0; n < 4; n++)
      await client.send(
        { topic: 'orders', body: Buffer.from(`body ${n}`) },
        { queue: { topic: 'orders', brokerName: 'broker-a', queueId: 0 } },
      );
    database = await startDynalite();
    (await connect(database.endpoint)).destroy();
    environment = {
      ROCKETMQ_NAME_SERVERS: mq.nameServers.join(';'),
      ROCKETMQ_TABLE: TABLE,
      ROCKETMQ_SERVICE: TENANT.service,
      ROCKETMQ_STAGE: TENANT.stage,
      AWS_ENDPOINT_URL_DYNAMODB: database.endpoint,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      NO_COLOR: '1',
    };
    lambda = await startLambda();
  });
  after(async () => {
    await client?.close();
    await lambda?.stop();
    await database?.stop();
    await mq?.stop();
  });

  /** Lambda's Invoke over HTTP, with the function of the package behind it. */
  async function startLambda() {
    const handler = createOperatorHandler({
      service: 'shop',
      stage: 'dev',
      clusters: { default: { nameServers: mq.nameServers } },
      sources: [
        {
          ...{
            cluster: 'default',
            consumerGroup: 'order-worker',
            strategy: { name: 'AVG' as const },
            pullers: 'queue' as const,
          },
          subscriptions: [
            {
              ...{
                topic: 'orders',
                filter: { type: 'TAG' as const, expression: '*' },
                batchSize: 10,
                parallelizationFactor: 1,
                startingPosition: 'TRIM_HORIZON' as const,
              },
              ...{
                maximumRetryAttempts: 16,
                enabled: true,
                handler: {
                  invocation: 'function' as const,
                  functionKey: 'orders',
                  functionName: 'shop-prod-orders',
                  timeout: 5,
                },
              },
            },
          ],
        },
      ],
    });
    Object.assign(process.env, { ...environment, ROCKETMQ_LOG_LEVEL: 'silent' });
    const invoked: string[] = [];
    const server = createServer((request, response) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        const name = /functions\/([^/]+)\/invocations/.exec(request.url ?? '')?.[1] ?? '';
        invoked.push(name);
        if (name === 'shop-prod-orders') {
          response
            .writeHead(200, { 'content-type': 'application/json' })
            .end('{"batchItemFailures":[]}');
          return;
        }
        if (!/^shop-(dev|prod)-rocketmqOperator$/.test(name)) {
          response
            .writeHead(404, { 'x-amzn-errortype': 'ResourceNotFoundException' })
            .end('{"Message":"Function not found"}');
          return;
        }
        const context = {
          awsRequestId: 'r-1',
          getRemainingTimeInMillis: () => 60_000,
          functionName: name,
        } as unknown as Context;
        const answer = await handler(JSON.parse(Buffer.concat(chunks).toString('utf8')), context);
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      })();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    // The function calls handlers where it runs itself.
    process.env.AWS_ENDPOINT_URL_LAMBDA = url;
    return {
      invoked,
      url,
      async stop() {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }

  const run = async (
    args: readonly string[],
    more: Record<string, string> = {},
    cwd = ROOT,
  ): Promise<Ran> => {
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(AWS_|ROCKETMQ_|NODE_TEST)/.test(name)),
    );
    const child = spawn(process.execPath, args, {
      cwd,
      env: { ...clean, ...environment, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    const code = await new Promise<number | null>((resolve, reject) =>
      child.once('error', reject).once('close', resolve),
    );
    if (code === 0) succeeded.add(args.slice(1).join(' '));
    return {
      code,
      out: Buffer.concat(out).toString('utf8'),
      err: Buffer.concat(err).toString('utf8'),
    };
  };
  /** With --watch: until it has shown something, then Ctrl-C. */
  const look = async (args: readonly string[], more: Record<string, string>): Promise<Ran> => {
    const child = startChild(process.execPath, args, {
      cwd: ROOT,
      env: { ...process.env, ...environment, ...more },
    });
    const [shown] = (await once(child.process.stdout!, 'data')) as [Buffer];
    child.process.kill('SIGINT');
    return {
      code: (await child.exited) as number,
      out: shown.toString('utf8'),
      err: child.output(),
    };
  };
  const npx = (words: string, more: Record<string, string> = {}) =>
    run([BIN, ...words.split(' ')], more);
  const succeeded = new Set<string>();
  const LOCAL = '--local --group order-worker --topic orders';
  const stored = () => mq.offset('order-worker', { topic: 'orders', queueId: 0 });

  test('npx: a table for people, one document for scripts', async () => {
    const people = await npx(`status ${LOCAL}`);
    assert.equal(people.code, 0, people.err);
    assert.match(
      people.out,
      /QUEUE +STATE +SLOT +HOLDER +BROKER OFFSET +CONSUMER OFFSET +LAG +OLDEST/,
    );
    assert.match(people.out, /orders\/broker-a\/0 +unassigned +- +- +4 +- +4/);
    assert.ok(!people.out.includes('\x1b'));
    const scripts = await npx(`status ${LOCAL} --json`);
    assert.deepEqual(
      [scripts.code, scripts.err, scripts.out.trimEnd().split('\n').length],
      [0, '', 1],
    );
    assert.equal(JSON.parse(scripts.out).groups[0].queues[0].lag, '4');
  });

  test('npx: what is misspelt ends with 2 and the nearest name', async () => {
    for (const [words, text] of [
      ['statsu', /did you mean status\?/],
      ['dlq lst', /did you mean dlq list\?/],
      ['status --grup g', /--grup is not an option of status; did you mean group\?/],
      ['pause extra --local', /"pause extra" is no command/],
      ['status extra --group x', /no command/],
      ['status --local', /--group is missing/],
      ['status', /--service NAME/],
      [`pause ${LOCAL} --for soon`, /--for is "soon": give a number with s, m, h or d/],
      [`peek ${LOCAL} --since yesterday`, /--since is "yesterday"/],
      [`reset ${LOCAL} --to 4711`, /--to is "4711"/],
    ] as const) {
      const { code, err, out } = await npx(words);
      assert.equal(code, 2, `${words}: ${err}${out}`);
      assert.match(err, text, words);
    }
    const help = await npx('reset --help');
    assert.equal(help.code, 0);
    assert.match(help.out, /--dry-run +Say what would be done/);
  });

  test('npx: what cannot be undone is refused where nobody can be asked, and done with --yes', async () => {
    const refused = await npx(`reset ${LOCAL} --to last`);
    assert.equal(refused.code, 3);
    assert.match(refused.err, /ROCKETMQ_OPERATOR_NOT_CONFIRMED: .*--yes/);
    assert.equal(stored(), undefined);
    const json = await npx(`reset ${LOCAL} --to last --json`);
    assert.deepEqual(
      [json.code, JSON.parse(json.out).error.code],
      [3, 'ROCKETMQ_OPERATOR_NOT_CONFIRMED'],
    );
    const dry = await npx(`reset ${LOCAL} --to last --dry-run --json`);
    assert.deepEqual([dry.code, JSON.parse(dry.out).applied, stored()], [0, false, undefined]);
    const done = await npx(`reset ${LOCAL} --to offset:1 --queue broker-a/0 --yes --json`);
    assert.deepEqual([done.code, JSON.parse(done.out).queues[0].stored, stored()], [0, '1', 1n]);
    const skipped = await npx(`skip ${LOCAL} --queue broker-a/0 --offset 1 --park --yes`);
    assert.deepEqual([skipped.code, stored()], [0, 2n]);
    const refusedSkip = await npx(`skip ${LOCAL} --queue broker-a/0 --offset 0 --yes`);
    assert.deepEqual([refusedSkip.code, /is past offset 0/.test(refusedSkip.err)], [3, true]);
  });

  test('npx: dead letters are exported as lines, and dropped when that is confirmed', async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'letters-'));
    try {
      const file = path.join(directory, 'letters.jsonl');
      const lines = await npx('dlq export --local --group order-worker');
      assert.deepEqual([lines.code, JSON.parse(lines.out).originTopic], [0, 'orders']);
      const again = await npx(
        `dlq export --service-file ${await serviceFile(directory)} --local --output ${file} --json`,
      );
      assert.equal(again.code, 0, again.err + again.out);
      assert.deepEqual(JSON.parse(again.out), { file, exported: 1, complete: true });
      assert.equal(JSON.parse(await readFile(file, 'utf8')).body, 'body 1');
      const drop = await npx(
        `dlq drop --service-file ${path.join(directory, 'service.json')} --local`,
      );
      assert.equal(drop.code, 3);
      const dropped = await npx(
        `dlq drop --service-file ${path.join(directory, 'service.json')} --local --yes --json`,
      );
      assert.deepEqual([dropped.code, JSON.parse(dropped.out).done], [0, 1]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  async function serviceFile(directory: string): Promise<string> {
    const { writeFile } = await import('node:fs/promises');
    const file = path.join(directory, 'service.json');
    const handler = { invocation: 'function', functionKey: 'x', functionName: 'x', timeout: 5 };
    const subscription = {
      topic: 'orders',
      filter: { type: 'TAG', expression: '*' },
      handler,
      batchSize: 1,
      parallelizationFactor: 1,
      startingPosition: 'LATEST',
      maximumRetryAttempts: 1,
      enabled: true,
    };
    const source = {
      cluster: 'default',
      consumerGroup: 'order-worker',
      strategy: { name: 'AVG' },
      pullers: 'queue',
      subscriptions: [subscription],
    };
    await writeFile(
      file,
      JSON.stringify({
        service: 'shop',
        stage: 'dev',
        clusters: { default: { nameServers: mq.nameServers } },
        sources: [source],
      }),
    );
    return file;
  }

  test('npx: through the deployed function', async () => {
    const through = { AWS_ENDPOINT_URL_LAMBDA: lambda.url };
    const status = await npx('status --service shop --stage prod --json', through);
    assert.equal(status.code, 0, status.err + status.out);
    assert.deepEqual(
      [JSON.parse(status.out).service, lambda.invoked.at(-1)],
      ['shop', 'shop-prod-rocketmqOperator'],
    );
    const paused = await npx('pause --service shop --for 1m --reason test --json', through);
    assert.deepEqual([paused.code, JSON.parse(paused.out).groups[0].reason], [0, 'test']);
    const doctor = await npx('doctor --service shop', through);
    assert.match(doctor.out, /looked from inside the function's network/);
    const missing = await npx('status --service other', through);
    assert.equal(missing.code, 1);
    assert.match(
      missing.err,
      /ROCKETMQ_OPERATOR_UNREACHABLE: other-dev-rocketmqOperator cannot be invoked: there is no such function/,
    );
    const config = JSON.parse((await npx('config --service shop', through)).out) as {
      sources: { consumerGroup: string }[];
    };
    assert.equal(config.sources[0]?.consumerGroup, 'order-worker');
    const wrong = await npx('status --service shop --group nobody', through);
    assert.deepEqual([wrong.code, /no consumer group "nobody"/.test(wrong.err)], [1, true]);
  });

  test('npx: doctor ends with 1 when something failed', async () => {
    const { code, out } = await npx(
      'doctor --local --group order-worker --topic orders --name-servers 127.0.0.1:1',
    );
    assert.equal(code, 1);
    assert.match(out, /failed +tcp +cluster default +127\.0\.0\.1:1/);
    const healthy = await npx('doctor --local --group order-worker --topic orders --json');
    const { findings } = JSON.parse(healthy.out) as {
      findings: { check: string; result: string }[];
    };
    // There is no such function at the Lambda of this test, and nothing else is wrong.
    assert.deepEqual(
      findings.filter(({ result }) => result === 'failed').map(({ check }) => check),
      ['handlers'],
    );
    assert.equal(healthy.code, 1);
    const sent = await npx('send --local --topic orders --body hello --json');
    assert.deepEqual([sent.code, JSON.parse(sent.out).sent.length], [0, 1]);
  });

  test('npx: what docs/operating.md tells people in a hurry to type', async () => {
    const through = { AWS_ENDPOINT_URL_LAMBDA: lambda.url };
    const advice = advised(await readFile(path.join(ROOT, 'docs/operating.md'), 'utf8'));
    assert.ok(advice.length >= 13, `${advice.length} commands are advised`);
    // Where the group stands is where the message is that the page calls 4711; a queue that is paused holds everything back.
    await npx('reset --service shop --to offset:2 --queue orders/broker-a/0 --yes', through);
    const end = mq.maxOffset({ topic: 'orders', queueId: 0 });
    for (const words of advice) {
      const needed = [
        '--service',
        'shop',
        ...(/^(reset|skip|dlq redrive)/.test(words.join(' ')) ? ['--yes'] : []),
      ];
      const args = words.map((word) => (word === '4711' ? '2' : word));
      const ran = args.includes('--watch')
        ? await look([BIN, ...args, ...needed], through)
        : await run([BIN, ...args, ...needed], through);
      assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.err}${ran.out}`);
      assert.notEqual(ran.out, '', args.join(' '));
    }
    assert.equal(stored(), end, 'the last reset was to the last message');
    assert.ok(lambda.invoked.includes('shop-prod-orders'), 'the handler was invoked');
    assert.equal(
      mq.maxOffset({ topic: '%DLQ%order-worker', queueId: 0 }),
      2n,
      'one message was parked, beside the one before',
    );
  });

  test('npx: on a terminal long work shows how far it is, and only there', async () => {
    const words = ['dlq', 'peek', '--local', '--group', 'order-worker', '--limit', '1'];
    // A terminal of its own, from util-linux: what the command writes to it comes out of a pipe.
    const onTerminal = await shell(
      `script -qec ${JSON.stringify([process.execPath, BIN, ...words].map((word) => `'${word}'`).join(' '))} /dev/null`,
      environment,
    );
    assert.equal(onTerminal.code, 0, onTerminal.output);
    assert.ok(
      onTerminal.stdout.includes('\r\x1b[Klooking through the dead letters …'),
      JSON.stringify(onTerminal.stdout),
    );
    const inPipe = await npx(words.join(' '));
    assert.deepEqual([inPipe.code, inPipe.err, inPipe.out.includes('looking')], [0, '', false]);
  });

  test('the request by hand of docs/operating.md, sent by the SDK', async () => {
    const page = await readFile(path.join(ROOT, 'docs/operating.md'), 'utf8');
    const [, name, payload = ''] =
      /`aws lambda invoke --function-name (\S+) .*?--payload '(.+?)' \/dev\/stdout`/.exec(page) ??
      [];
    const client = new LambdaClient({
      endpoint: lambda.url,
      region: 'eu-west-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    });
    try {
      const { Payload = [] } = await client.send(
        new InvokeCommand({ FunctionName: name, Payload: Buffer.from(payload) }),
      );
      const answer = JSON.parse(Buffer.from(Payload).toString('utf8')) as {
        ok: boolean;
        answer: { groups: { consumerGroup: string }[] };
      };
      assert.deepEqual(
        [answer.ok, answer.answer.groups.map(({ consumerGroup }) => consumerGroup)],
        [true, ['order-worker']],
      );
    } finally {
      client.destroy();
    }
  });

  test('npx: every command, once at least', async () => {
    const through = { AWS_ENDPOINT_URL_LAMBDA: lambda.url };
    const more = [
      'connections',
      'peek --limit 1',
      'dlq peek',
      'tail --once --interval 0.1',
      'cost',
    ];
    const ran = await Promise.all(more.map((words) => npx(`${words} --service shop`, through)));
    assert.deepEqual(
      ran.map(({ code, err }) => [code, err]),
      more.map(() => [0, '']),
    );
    // A message that Java's trace knows: its sender's record, in a trace message that is found by its key.
    const fields = [
      'Pub',
      1_700_000_000_123,
      'DefaultRegion',
      'shop',
      'orders',
      'AC11',
      '',
      '',
      '10.0.0.1:10911',
      6,
      3,
      0,
      '0A00',
      true,
    ];
    mq.createTopic('traces', { queues: 1 });
    await client.send({
      topic: 'traces',
      body: Buffer.from(`${fields.join('\u0001')}\u0002`),
      keys: ['AC11'],
    });
    const trace = await npx('trace --id AC11 --trace-topic traces --service shop', through);
    assert.match(
      trace.out,
      /2023-11-14T22:13:20Z +sent +shop +to orders at 10\.0\.0\.1:10911 in 3 ms\n1 trace messages of traces looked through/,
    );
    const unknown = await npx('trace --id AC12 --service shop', through);
    assert.deepEqual(
      [unknown.code, /there is no trace topic "RMQ_SYS_TRACE_TOPIC": name yours/.test(unknown.err)],
      [1, true],
      unknown.err,
    );
    const without = COMMANDS.map(({ words }) => words.join(' ')).filter(
      (words) => ![...succeeded].some((one) => `${one} `.startsWith(`${words} `)),
    );
    assert.deepEqual(without, []);
  });

  test('serverless rocketmq: the same with the configuration of serverless.yml', async () => {
    const serverless = (words: string, more: Record<string, string> = {}) =>
      run([OSLS, 'rocketmq', ...words.split(' ')], more);
    const status = await serverless('status --local --json');
    assert.equal(status.code, 0, status.err + status.out);
    assert.equal(JSON.parse(status.out).groups[0].consumerGroup, 'order-worker');
    const refused = await serverless('reset --local --to first');
    assert.deepEqual([refused.code, /NOT_CONFIRMED/.test(refused.err)], [3, true]);
    const list = await serverless('dlq list --local');
    assert.match(list.out, /order-worker +%DLQ%order-worker +2 +0/);
    const through = await serverless('status', { AWS_ENDPOINT_URL_LAMBDA: lambda.url });
    assert.equal(through.code, 1);
    assert.match(
      through.err,
      /serverless-rocketmq-sample-dev-rocketmqOperator cannot be invoked: there is no such function/,
    );
  });
});
