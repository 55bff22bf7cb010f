import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ServiceConfig } from '../../src/model/source.ts';
import { startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { startChild } from '../support/child-process.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { connect, TABLE } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { type SecretStore, startSecretStore } from '../support/secret-store.ts';

const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:rocketmq-AbCdEf';
/** Each function, and what it is invoked with. */
const FUNCTIONS = {
  Coordinator: {},
  Operator: { rocketmqOperator: { version: 1, command: 'status' } },
  Puller: {
    cluster: 'default',
    consumerGroup: 'workers',
    slot: 0,
    queues: [{ topic: 'orders', brokerName: 'broker-a', queueId: 0 }],
  },
} as const;
type FunctionName = keyof typeof FUNCTIONS;

let mq: Awaited<ReturnType<typeof startEmbeddedRocketMQ>>;
let database: Awaited<ReturnType<typeof startDynalite>>;
let store: SecretStore;

before(async () => {
  mq = await startEmbeddedRocketMQ();
  mq.createTopic('orders');
  database = await startDynalite();
  (await connect(database.endpoint)).destroy();
  store = await startSecretStore();
});
after(async () => {
  await Promise.all([mq.stop(), database.stop(), store.stop()]);
});

/** One run of a function in a process of its own, with all that it prints. */
async function runFunction(
  name: FunctionName = 'Coordinator',
): Promise<{ code: unknown; output: string }> {
  const file = fileURLToPath(new URL(`../../handlers/${name.toLowerCase()}.ts`, import.meta.url));
  const service: ServiceConfig = {
    service: 'shop',
    stage: 'dev',
    clusters: {
      default: { nameServers: mq.nameServers, secrets: { credentials: { secretArn: SECRET } } },
    },
    sources: [source([subscription('orders')])],
  };
  const script = `
    const { create${name}Handler } = await import(${JSON.stringify(file)});
    const end = Date.now() + 8000;
    const context = { awsRequestId: 'run-1', getRemainingTimeInMillis: () => end - Date.now() };
    const handler = create${name}Handler(${JSON.stringify(service)}, {});
    const answer = await handler(${JSON.stringify(FUNCTIONS[name])}, context);
    console.log(JSON.stringify(answer));`;
  const child = startChild(process.execPath, ['--input-type=module', '-e', script], {
    env: {
      ...process.env,
      ROCKETMQ_TABLE: TABLE,
      ROCKETMQ_PULLER_FUNCTION: 'puller',
      ROCKETMQ_LOG_LEVEL: 'trace',
      AWS_ENDPOINT_URL_DYNAMODB: database.endpoint,
      // Nothing listens there: the invocation fails, and its error is logged.
      AWS_ENDPOINT_URL_LAMBDA: 'http://127.0.0.1:9',
    },
  });
  const printed: Buffer[] = [];
  for (const stream of [child.process.stdout, child.process.stderr])
    stream?.on('data', (chunk: Buffer) => printed.push(chunk));
  const [code] = await Promise.all([child.exited, once(child.process, 'close')]);
  return { code, output: Buffer.concat(printed).toString() };
}

test('a function signs with the secret and never prints it, not even at level trace and when calls fail', async () => {
  store.values.set(SECRET, JSON.stringify({ accessKey: 'shop', secretKey: 'swordfish' }));
  const keys = new Set<string | undefined>();
  const control = mq.control(
    '*',
    ({ command }) => {
      keys.add(command.extFields.AccessKey);
    },
    { times: Number.POSITIVE_INFINITY },
  );
  const { code, output } = await runFunction();
  control.remove();
  assert.equal(code, 0, output);
  assert.deepEqual([...keys], ['shop'], 'every request is signed');
  assert.match(output, /"function":"coordinator"/);
  assert.doesNotMatch(output, /swordfish/);
});

for (const name of ['Operator', 'Puller'] as const)
  test(`the ${name.toLowerCase()} prints no secret either`, async () => {
    store.values.set(SECRET, JSON.stringify({ accessKey: 'shop', secretKey: 'swordfish' }));
    const { code, output } = await runFunction(name);
    assert.equal(code, 0, output);
    assert.match(output, new RegExp(`"function":"${name.toLowerCase()}"`));
    assert.doesNotMatch(output, /swordfish/);
  });

test('a secret that cannot be read is told in the log, by its name', async () => {
  store.values.set(SECRET, { error: 'AccessDeniedException' });
  const { output } = await runFunction();
  assert.match(output, /ROCKETMQ_SECRET/);
  assert.match(
    output,
    /the credentials of cluster \\?"default\\?" cannot be read from arn:aws:secretsmanager:/,
  );
});
