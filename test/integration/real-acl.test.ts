import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { peekDeadLetters } from '../../src/dlq/dead-letters.ts';
import { PermissionError } from '../../src/errors.ts';
import { dlqTopic } from '../../src/model/message-queue.ts';
import { readableQueues } from '../../src/model/route.ts';
import type { ClusterConfig, Credentials } from '../../src/model/source.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { createSecrets } from '../../src/runtime/secrets.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { type SecretStore, startSecretStore } from '../support/secret-store.ts';
import { ADMIN, type SecuredRocketMQ, startSecuredRocketMQ } from '../support/secured-rocketmq.ts';
import { missingStack, since } from '../support/stack.ts';
import { until } from '../support/until.ts';

const TOPIC = 'orders';
const GROUP = 'workers';
const WORKER: Credentials = { accessKey: 'shop-worker', secretKey: 'first-secret-key' };
const ROTATED: Credentials = { ...WORKER, secretKey: 'second-secret-key' };
const SECRET = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:rocketmq-AbCdEf';
const queue = { topic: TOPIC, brokerName: 'broker-a', queueId: 0 };

describe(`a real cluster with ${since('5.0') ? 'ACL 2.0' : 'ACL 1.0 (on 4.9)'}`, {
  skip: missingStack('rocketmq'),
}, () => {
  let rocketmq: SecuredRocketMQ;
  let admin: RocketMQClient;
  let store: SecretStore;
  const clients: RocketMQClient[] = [];
  const clientOf = (credentials?: Credentials): RocketMQClient => {
    const made = createRocketMQClient({
      nameServers: [rocketmq.nameServer],
      ...(credentials === undefined ? {} : { credentials }),
    });
    clients.push(made);
    return made;
  };
  const pull = (client: RocketMQClient, consumerGroup = GROUP) =>
    client.pull({
      consumerGroup,
      queue,
      offset: 0n,
      subscription: buildSubscription(TOPIC, '*'),
      maxMessages: 32,
      suspendMs: 0,
    });
  /** A change of rights takes a moment. */
  const letIn = (client: RocketMQClient): Promise<void> =>
    until(
      async () =>
        await pull(client).then(
          () => true,
          () => false,
        ),
      'the user is let in',
      30_000,
    );

  before(async () => {
    rocketmq = await startSecuredRocketMQ({
      messageDelayLevel: Array.from({ length: 18 }, () => '1s').join(' '),
      brokerConf: { autoCreateTopicEnable: 'false' },
    });
    store = await startSecretStore();
    admin = clientOf(ADMIN);
    for (const topic of [TOPIC, 'others'])
      await admin.createTopic(topic, { readQueueNums: 2, writeQueueNums: 2 });
    for (const group of [GROUP, 'strangers']) await admin.createGroup(group);
    await rocketmq.allow(WORKER, { topics: [TOPIC], groups: [GROUP] });
    await letIn(clientOf(WORKER));
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await store?.stop();
    await rocketmq?.stop();
  });

  for (const [what, credentials] of [
    ['no credentials', undefined],
    ['an unknown access key', { accessKey: 'stranger', secretKey: 'strangers-key' }],
    ['a wrong secret key', { ...WORKER, secretKey: 'a-guessed-key' }],
  ] as const)
    test(`${what}: a PermissionError that says what to check`, async () => {
      const stranger = clientOf(credentials);
      for (const call of [
        () => pull(stranger),
        () => stranger.commitOffset(GROUP, queue, 0n),
        () => stranger.maxOffset(queue),
      ])
        await assert.rejects(call, (error: unknown) => {
          assert.ok(error instanceof PermissionError, String(error));
          assert.equal(error.code, 'ROCKETMQ_PERMISSION');
          assert.match(error.message, /accessKey and secretKey/);
          assert.doesNotMatch(inspect(error), /secret-key|guessed|strangers-key/);
          return true;
        });
    });

  test('a security token is part of the signature', async () => {
    assert.equal(
      (await pull(clientOf({ ...WORKER, securityToken: 'a-token' }))).status,
      'NO_NEW_MSG',
    );
  });

  test('a right that is missing is named', async () => {
    const worker = clientOf(WORKER);
    const other = { ...queue, topic: 'others' };
    const request = {
      consumerGroup: GROUP,
      queue: other,
      offset: 0n,
      subscription: buildSubscription('others', '*'),
      maxMessages: 1,
      suspendMs: 0,
    };
    await assert.rejects(
      worker.pull(request),
      (error) => error instanceof PermissionError && /others/.test(error.message),
    );
    await assert.rejects(
      pull(worker, 'strangers'),
      (error) => error instanceof PermissionError && /strangers/.test(error.message),
    );
  });

  test('Sub and Get of topic and group are enough for the whole path; a rotation is followed at once, and no log knows a key', async () => {
    const database = await startDynalite();
    const dynamodb = await connect(database.endpoint);
    const lines: string[] = [];
    const note = (...args: unknown[]): void => void lines.push(inspect(args, { depth: 8 }));
    const logger: Logger = {
      debug: note,
      info: note,
      warn: note,
      error: note,
      child: () => logger,
    };
    const cluster: ClusterConfig = {
      nameServers: [rocketmq.nameServer],
      secrets: { credentials: { secretArn: SECRET } },
    };
    const secrets = createSecrets({ clusters: { default: cluster } }, systemClock);
    store.values.set(SECRET, JSON.stringify(WORKER));
    await secrets.middleware.before({ event: {} } as Parameters<
      typeof secrets.middleware.before
    >[0]);
    const client = createRocketMQClient(secrets.complete('default', cluster, logger), {
      renewCredentials: () => secrets.renew('default', logger),
    });
    clients.push(client);

    const seen = new Map<string, number>();
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source([subscription(TOPIC, { maximumRetryAttempts: 1 })], { consumerGroup: GROUP }),
      logger,
      handler: ({ Records }) => {
        for (const { body } of Records) seen.set(body, (seen.get(body) ?? 0) + 1);
        return {
          batchItemFailures: Records.filter(({ body }) => body.startsWith('bad')).map(
            ({ messageId }) => ({ itemIdentifier: messageId }),
          ),
        };
      },
    });
    const produce = async (...bodies: string[]): Promise<void> => {
      for (const body of bodies) await admin.send({ topic: TOPIC, body: Buffer.from(body) });
    };
    const deadLetters = async (): Promise<bigint> => {
      const queues = (await admin.topicRoute(dlqTopic(GROUP), { fresh: true })).brokers.map(
        ({ brokerName }) => ({
          topic: dlqTopic(GROUP),
          brokerName,
          queueId: 0,
        }),
      );
      return (await Promise.all(queues.map((each) => admin.maxOffset(each)))).reduce(
        (sum, each) => sum + each,
        0n,
      );
    };
    const dead = async (count: bigint): Promise<void> =>
      until(
        async () => (await deadLetters().catch(() => 0n)) === count,
        `${count} dead letters`,
        60_000,
      );
    try {
      await produce('one', 'two', 'bad-1');
      await until(() => seen.size === 3, 'all came', 60_000);
      await dead(1n);
      assert.equal(seen.get('bad-1'), 2, 'redelivered once, then dead');

      // The other way round a refusal could meet the old key in the store, and what is in flight would come again.
      store.values.set(SECRET, JSON.stringify(ROTATED));
      await rocketmq.allow(ROTATED, { topics: [TOPIC], groups: [GROUP] });
      await letIn(clientOf(ROTATED));
      await produce('three', 'bad-2');
      await until(() => seen.has('three'), 'messages after the rotation', 60_000);
      await dead(2n);
      await until(
        async () => {
          const queues = readableQueues(await admin.topicRoute(TOPIC));
          const lags = queues.map(
            async (each) =>
              (await admin.maxOffset(each)) - ((await admin.queryOffset(GROUP, each)) ?? -1n),
          );
          return (await Promise.all(lags)).every((lag) => lag === 0n);
        },
        'all is committed',
        60_000,
      );
      assert.deepEqual(
        [seen.get('one'), seen.get('two'), seen.get('three'), seen.get('bad-2')],
        [1, 1, 1, 2],
      );
      assert.ok(
        lines.some((line) => line.includes('credentials were refused and fetched again')),
        'the old key was refused',
      );
      assert.doesNotMatch(lines.join('\n'), /(first|second)-secret-key/);
    } finally {
      await service.end();
      dynamodb.destroy();
      await database.stop();
    }
  });

  test('a message that goes back as a message needs no other right, and its dead letter makes its topic, though topics are not made automatically', async () => {
    const user: Credentials = { accessKey: 'copy-worker', secretKey: 'copy-secret-key' };
    await admin.createTopic('copies', { readQueueNums: 1, writeQueueNums: 1 });
    await admin.createGroup('copy-workers');
    await rocketmq.allow(user, { topics: ['copies'], groups: ['copy-workers'] });
    const client = clientOf(user);
    const database = await startDynalite();
    const dynamodb = await connect(database.endpoint);
    // A copy of another group's retry: request 36 would keep its RETRY_TOPIC.
    await admin.send({
      topic: 'copies',
      body: Buffer.from('bad'),
      properties: { RETRY_TOPIC: 'elsewhere', UNIQ_KEY: 'COPY' },
    });
    const told: number[] = [];
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: source([subscription('copies', { maximumRetryAttempts: 1 })], {
        consumerGroup: 'copy-workers',
      }),
      handler: ({ Records }) => {
        told.push(...Records.map(({ rocketmq }) => rocketmq.reconsumeTimes));
        throw new Error('bad');
      },
    });
    try {
      const letters = async (): Promise<(string | undefined)[]> => {
        const found: (string | undefined)[] = [];
        for await (const { message, originTopic } of peekDeadLetters(admin, 'copy-workers'))
          found.push(message?.msgId, originTopic);
        return found;
      };
      await until(
        async () => (await letters().catch(() => [])).length > 0,
        'a dead letter',
        60_000,
      );
      assert.deepEqual(await letters(), ['COPY', 'copies']);
      assert.deepEqual(told, [0, 1]);
    } finally {
      await service.end();
      dynamodb.destroy();
      await database.stop();
    }
  });
});
