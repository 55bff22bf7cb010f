import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { type Message, PullConsumer } from '../../src/consumer/index.ts';
import { listDeadLetters } from '../../src/dlq/dead-letters.ts';
import { redriveDeadLetters } from '../../src/dlq/redrive.ts';
import type { RocketMQRecord } from '../../src/model/event.ts';
import { dlqTopic, retryTopic } from '../../src/model/message-queue.ts';
import { withNamespace, withoutNamespace } from '../../src/records/namespace.ts';
import { source, subscription } from '../support/coordinator-world.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { jsonLines, runJava } from '../support/java.ts';
import { type RealRocketMQ, startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const NAMESPACE = 'MQ_INST_1';
const [TOPIC, GROUP] = ['orders', 'workers'];

describe('a namespace on a real broker', { skip: missingStack('rocketmq') }, () => {
  let rocketmq: RealRocketMQ;
  /** In the namespace, and as brokers see it. */
  let client: RocketMQClient;
  let bare: RocketMQClient;
  let database: Awaited<ReturnType<typeof startDynalite>>;
  let dynamodb: Awaited<ReturnType<typeof connect>>;

  before(async () => {
    rocketmq = await startRealRocketMQ({
      messageDelayLevel: Array.from({ length: 18 }, () => '1s').join(' '),
    });
    bare = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
    client = createRocketMQClient({ nameServers: [rocketmq.nameServer], namespace: NAMESPACE });
    database = await startDynalite();
    dynamodb = await connect(database.endpoint);
  });
  after(async () => {
    dynamodb?.destroy();
    await database?.stop();
    await client?.close();
    await bare?.close();
    await rocketmq?.stop();
  });

  test('names are Java’s; what Java sends there comes to the handler under plain names, again when it fails, and back from the DLQ', async () => {
    await client.createTopic(TOPIC, { readQueueNums: 1, writeQueueNums: 1 });
    // Another topic of the same plain name, which is nobody's here.
    await bare.createTopic(TOPIC, { readQueueNums: 1, writeQueueNums: 1 });
    await bare.send({ topic: TOPIC, body: Buffer.from('outside') });
    await client.send({
      topic: TOPIC,
      body: Buffer.from('from here'),
      tags: 'tag',
      keys: ['here'],
    });

    const names = [
      TOPIC,
      retryTopic(GROUP),
      dlqTopic(GROUP),
      `${NAMESPACE}%${TOPIC}`,
      `%RETRY%${NAMESPACE}%${GROUP}`,
      'MQ_INST_2%orders',
    ];
    const system = [
      'TBW102',
      'RMQ_SYS_TRACE_TOPIC',
      'SCHEDULE_TOPIC_XXXX',
      'rmq_sys_wheel',
      'CID_RMQ_SYS_TRANS',
      'SELF_TEST_TOPIC',
    ];
    const java = jsonLines<{ name: string; with: string; without: string }>(
      await runJava('JavaNamespace', [rocketmq.nameServer, NAMESPACE, TOPIC, ...names, ...system]),
    );
    assert.equal(java.length, names.length + system.length);
    for (const { name, with: wire, without } of java)
      assert.deepEqual(
        [withNamespace(NAMESPACE, name), withoutNamespace(NAMESPACE, name)],
        [wire, without],
        name,
      );

    const records: RocketMQRecord[] = [];
    const config = source(
      [
        subscription(TOPIC, {
          maximumRetryAttempts: 1,
          filter: { type: 'TAG', expression: 'tag' },
        }),
      ],
      {
        consumerGroup: GROUP,
      },
    );
    const service = startInProcess({
      client,
      dynamodb,
      nameServer: rocketmq.nameServer,
      source: config,
      handler: ({ Records }) => {
        records.push(...Records);
        return {
          batchItemFailures: Records.map(({ messageId }) => ({ itemIdentifier: messageId })),
        };
      },
    });
    await until(
      async () => (await listDeadLetters(client, { consumerGroup: GROUP }))[0]?.count === 2n,
      'both are dead-lettered',
      60_000,
    );
    await service.end();

    const seen = records.map(({ body, rocketmq }) => [
      body,
      rocketmq.topic,
      rocketmq.consumerGroup,
      rocketmq.reconsumeTimes,
      rocketmq.properties.INSTANCE_ID,
    ]);
    assert.deepEqual(
      seen.sort(),
      ['from here', 'from java'].flatMap((body) =>
        [0, 1].map((times) => [body, TOPIC, GROUP, times, NAMESPACE]),
      ),
    );
    assert.deepEqual(
      records
        .filter(({ rocketmq }) => rocketmq.reconsumeTimes === 1)
        .map(({ rocketmq }) => rocketmq.properties.RETRY_TOPIC),
      [TOPIC, TOPIC],
    );

    const wire = (await bare.topics()).filter((topic) => topic.includes(GROUP)).sort();
    assert.deepEqual(wire, [`%DLQ%${NAMESPACE}%${GROUP}`, `%RETRY%${NAMESPACE}%${GROUP}`]);
    assert.deepEqual(
      (await listDeadLetters(client)).map(({ consumerGroup }) => consumerGroup),
      [GROUP],
    );
    assert.equal((await client.topics()).filter((topic) => topic === TOPIC).length, 1);
    assert.equal(
      await bare.queryOffset(`${NAMESPACE}%${GROUP}`, {
        topic: `${NAMESPACE}%${TOPIC}`,
        brokerName: 'broker-a',
        queueId: 0,
      }),
      2n,
    );

    const redriven = new Set<string>();
    await redriveDeadLetters(client, GROUP, {
      onProgress: ({ topic }) => void redriven.add(topic),
    });
    assert.deepEqual([...redriven], [TOPIC]);
    await redriveDeadLetters(client, GROUP, { to: 'group', offset: 0n });
    const [again, toGroup] = await Promise.all([
      read(TOPIC, 4, NAMESPACE),
      read(`%RETRY%${NAMESPACE}%${GROUP}`, 4),
    ]);
    assert.deepEqual(
      again.map(({ topic, properties }) => [topic, properties.get('INSTANCE_ID')]),
      again.map(() => [TOPIC, NAMESPACE]),
    );
    assert.deepEqual(
      toGroup.map(({ properties }) => properties.get('RETRY_TOPIC')),
      toGroup.map(() => `${NAMESPACE}%${TOPIC}`),
      'at the brokers the origin has its whole name',
    );
  });

  async function read(topic: string, count: number, namespace?: string): Promise<Message[]> {
    const cluster = {
      nameServers: [rocketmq.nameServer],
      ...(namespace === undefined ? {} : { namespace }),
    };
    await using consumer = new PullConsumer({ consumerGroup: 'reader', ...cluster });
    const messages: Message[] = [];
    for await (const message of consumer.messages(topic))
      if (messages.push(message) === count) break;
    return messages;
  }
});
