import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { silentLogger, source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { deploy } from '../support/shared-group.ts';
import { until } from '../support/until.ts';

const PATIENCE_MS = 30_000;
const QUEUES = 2;

describe('filters', () => {
  let broker: EmbeddedRocketMQ;
  let database: Awaited<ReturnType<typeof startDynalite>>;
  let dynamodb: DynamoDBClient;
  let client: RocketMQClient;
  before(async () => {
    [broker, database] = await Promise.all([
      startEmbeddedRocketMQ({ autoCreateTopic: false, longPollTickMs: 100 }),
      startDynalite(),
    ]);
    dynamodb = await connect(database.endpoint);
    client = createRocketMQClient({ nameServers: broker.nameServers });
  });
  after(async () => {
    await client.close();
    dynamodb.destroy();
    await Promise.all([database.stop(), broker.stop()]);
  });
  const deployWith = (
    filter: { type: 'TAG' | 'SQL92'; expression: string },
    topic: string,
    bodies: string[],
  ) =>
    deploy({
      dynamodb,
      nameServers: broker.nameServers,
      source: source([subscription(topic, { filter })], { consumerGroup: `${topic}-readers` }),
      handler: async ({ Records }: RocketMQEvent) => {
        await sleep(10);
        bodies.push(...Records.map(({ body }) => body));
      },
      options: { renewIntervalMs: 200, maxSuspendMs: 200 },
      logger: silentLogger,
    });

  test('a redeployment with another filter takes effect while messages flow: nothing that both want is lost or repeated', async () => {
    broker.createTopic('events', { queues: QUEUES });
    const sent: { body: string; tag: string }[] = [];
    let sending = true;
    const traffic = (async () => {
      for (let n = 0; sending; n++) {
        const tag = ['a', 'b', 'both', 'neither'][n % 4] ?? '';
        const body = `${tag} ${n}`;
        await client.send({ topic: 'events', body: Buffer.from(body), tags: tag });
        sent.push({ body, tag });
        await sleep(5);
      }
    })();
    const before: string[] = [];
    const afterwards: string[] = [];
    const old = deployWith({ type: 'TAG', expression: 'a || both' }, 'events', before);
    await until(() => before.length > 50, 'the old filter', PATIENCE_MS);
    await old.replaced();
    const replacedAt = sent.length;
    const current = deployWith({ type: 'TAG', expression: 'b || both' }, 'events', afterwards);
    await until(
      () => afterwards.length > 50,
      'the new filter, long before the old invocations end',
      PATIENCE_MS,
    );
    await Promise.all(old.invocations);
    sending = false;
    await traffic;
    const wanted = sent.filter(({ tag }) => tag === 'both').map(({ body }) => body);
    await until(
      () => wanted.every((body) => before.includes(body) || afterwards.includes(body)),
      'what both want',
      PATIENCE_MS,
    );
    await sleep(200);
    await Promise.all([old.end(), current.end()]);
    const all = [...before, ...afterwards];
    assert.equal(new Set(all).size, all.length, 'nothing twice');
    assert.ok(
      before.every((body) => !body.startsWith('b ')) &&
        afterwards.every((body) => !body.startsWith('a ')),
    );
    // What only the old one wanted came as long as it was deployed; what only the new one wants comes from its first message on.
    const firstNew = sent.findIndex(({ body }) => afterwards.includes(body));
    assert.ok(firstNew >= replacedAt - QUEUES * 32, 'no message of before comes again');
    const late = sent.slice(firstNew + QUEUES * 32).filter(({ tag }) => tag === 'b');
    assert.ok(late.length > 0 && late.every(({ body }) => afterwards.includes(body)));
  });

  test('a puller pulls nothing with a SQL92 filter that the broker does not compile, whoever invoked it', async () => {
    broker.createTopic('priced', { queues: 1 });
    await client.send({ topic: 'priced', body: Buffer.from('unfiltered') });
    const bodies: string[] = [];
    // The embedded broker has no property filter, and says so; the coordinator does not get to hear it.
    const compiled = broker.control('CHECK_CLIENT_CONFIG', () => ({ code: 0 }), { times: 1 });
    const pulls = broker.control('PULL_MESSAGE', () => undefined, { times: Infinity });
    const service = deployWith({ type: 'SQL92', expression: 'price > 10' }, 'priced', bodies);
    await until(() => service.invocations.length > 0, 'an invocation', PATIENCE_MS);
    const report = await service.invocations[0];
    assert.equal(compiled.calls, 1);
    assert.equal(report?.queues[0]?.reason, 'error');
    assert.equal(pulls.calls, 0);
    pulls.remove();
    await service.end();
    assert.deepEqual(bodies, []);
  });
});
