import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { dlqTopic } from '../../src/model/message-queue.ts';
import type { SourceConfig } from '../../src/model/source.ts';
import { Arguments } from '../../src/operator/arguments.ts';
import type { OperatorDeps } from '../../src/operator/operator-deps.ts';
import {
  OPERATIONS,
  type OperationAnswer,
  type OperationName,
} from '../../src/operator/run-operator.ts';
import type { OutgoingMessage } from '../../src/ports/rocketmq.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import type { EmbeddedRocketMQOptions } from '../../src/testing/index.ts';
import { createWorld, silentLogger, source, subscription } from './coordinator-world.ts';
import { startInProcess } from './in-process-service.ts';
import { LOCAL_OPERATOR } from './local-operator.ts';
import { until } from './until.ts';

export const QUEUES = 2;

/** Embedded RocketMQ and dynalite with a group on `orders`, whose coordinator and pullers run in this process when asked to; and its operator. */
export async function createOperatorWorld(
  options: EmbeddedRocketMQOptions = {},
  settings: Partial<SourceConfig> = {},
) {
  const world = await createWorld(options);
  const { broker, client, store } = world;
  broker.createTopic('orders', { queues: QUEUES });
  const group = { cluster: 'default', consumerGroup: `g-${randomUUID()}` };
  await client.createGroup(group.consumerGroup);
  const config = source([subscription('orders')], { ...group, ...settings });
  const service = {
    service: 'shop',
    stage: 'dev',
    clusters: { default: { nameServers: broker.nameServers } },
    sources: [config],
  };
  const deps: OperatorDeps = {
    service,
    clients: () => client,
    store,
    ...LOCAL_OPERATOR,
  };
  const queue = (queueId: number) => ({ topic: 'orders', brokerName: 'broker-a', queueId });
  return {
    ...world,
    group,
    config,
    deps,
    queue,
    /** Carries out an operation like the deployed function does. */
    operate: async <Name extends OperationName>(
      name: Name,
      args: Readonly<Record<string, unknown>> = {},
      more: Partial<OperatorDeps> = {},
    ): Promise<OperationAnswer<Name>> =>
      (await OPERATIONS[name]({ ...deps, ...more }, new Arguments(args))) as OperationAnswer<Name>,
    produce: async (count: number, queueId = 0, tags?: string) => {
      for (let n = 0; n < count; n++)
        await client.send(
          {
            topic: 'orders',
            body: Buffer.from(`{"n":${n}}`),
            keys: [`key-${n}`],
            ...(tags === undefined ? {} : { tags }),
          },
          { queue: queue(queueId) },
        );
    },
    /** A message of queue 0 that its group gave up. @param originTopic as the client says */
    bury: async (
      body: string,
      message: Partial<OutgoingMessage> = {},
      originTopic = 'orders',
    ): Promise<void> => {
      const { consumerGroup } = group;
      const dlq = dlqTopic(consumerGroup);
      const count = broker.messages(dlq).length;
      const sent = { topic: 'orders', body, ...message };
      const { queueOffset: offset } = await client.send(sent, { queue: queue(0) });
      const all = buildSubscription('orders', '*');
      const request = { consumerGroup, queue: queue(0), offset, subscription: all, maxMessages: 1 };
      const pulled = await client.pull({ ...request, suspendMs: 0 });
      assert.ok(pulled.status === 'FOUND');
      await client.sendBack({
        consumerGroup,
        brokerName: 'broker-a',
        commitLogOffset: pulled.messages[0]?.commitLogOffset ?? 0n,
        originMsgId: '',
        originTopic,
        delayLevel: 'dead-letter',
        maxReconsumeTimes: 16,
      });
      await until(() => broker.messages(dlq).length > count, 'it is dead-lettered');
    },
    startService: (handler: Parameters<typeof startInProcess>[0]['handler']) =>
      startInProcess({
        client: client as Parameters<typeof startInProcess>[0]['client'],
        dynamodb: world.dynamodb,
        nameServer: broker.nameServers[0] ?? '',
        source: config,
        handler,
        options: { renewIntervalMs: 100, idleTimeoutMs: 60_000 },
        logger: silentLogger,
      }),
  };
}

export type OperatorWorld = Awaited<ReturnType<typeof createOperatorWorld>>;
