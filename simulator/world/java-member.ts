import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { allocate } from '../../src/decide/allocation/allocate.ts';
import type { RocketMQEvent, RocketMQRecord } from '../../src/model/event.ts';
import type { Message } from '../../src/model/message.ts';
import { type MessageQueue, queueKey, retryTopic } from '../../src/model/message-queue.ts';
import { readableQueues } from '../../src/model/route.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { createSystemClock } from '../../src/runtime/system-clock.ts';
import { runAs } from '../kernel/globals.ts';
import { createHost, type Host, type Scheduler } from '../kernel/scheduler.ts';
import { NAME_SERVER } from './brokers.ts';
import type { HandlerScript, Handlers } from './handlers.ts';
import type { Network } from './network.ts';

/** Names of their hosts begin with it. */
export const JAVA = 'java-';
/** A push consumer looks every 20 s, and at once when brokers say that members changed. */
const REBALANCE_MS = 5_000;
const AGAIN_MS = 1_000;

const quiet = (): void => {};
const silent: Logger = {
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  child: () => silent,
};

interface JavaMemberDeps {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly handlers: Handlers;
  readonly group: string;
  readonly topic: string;
  readonly maxReconsumeTimes: number;
  readonly deliveryStarted: (script: HandlerScript) => void;
  readonly deliveryEnded: (script: HandlerScript) => void;
}

/** A member of the group as Java's push consumer is one: no lease, no table, only heartbeats and the broker's offsets. */
export class JavaMember {
  readonly #deps: JavaMemberDeps;
  readonly #host: Host;
  readonly #client: ReturnType<typeof createRocketMQClient>;
  readonly #clock = createSystemClock();
  readonly #owned = new Map<string, MessageQueue>();
  #ended = false;

  constructor(number: number, deps: JavaMemberDeps) {
    this.#deps = deps;
    this.#host = createHost(`${JAVA}${number}`);
    this.#client = createRocketMQClient(
      { nameServers: [NAME_SERVER] },
      { clock: this.#clock, random: Math.random, logger: silent },
    );
  }

  start(): void {
    runAs(this.#host, () => void this.#run());
  }

  /** @param dies without a word to its brokers */
  end(dies: boolean): void {
    this.#ended = true;
    this.#owned.clear();
    const vanish = (): void => {
      this.#deps.scheduler.kill(this.#host);
      this.#deps.network.cutClient(this.#host);
    };
    if (dies) vanish();
    else runAs(this.#host, () => void this.#leave().then(vanish, vanish));
  }

  async #leave(): Promise<void> {
    const { group: consumerGroup } = this.#deps;
    for (const brokerName of await this.#client.brokerNames())
      await this.#client.unregister({ clientId: this.#host.name, consumerGroup }, brokerName);
    await this.#client.close();
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      await this.#rebalance().catch(quiet);
      await this.#clock.sleep(REBALANCE_MS);
    }
  }

  async #rebalance(): Promise<void> {
    const { group, topic } = this.#deps;
    const topics = [topic, retryTopic(group)];
    for (const brokerName of await this.#client.brokerNames())
      await this.#client.heartbeat(
        {
          clientId: this.#host.name,
          consumerGroup: group,
          messageModel: 'CLUSTERING',
          consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
          subscriptions: topics.map((one) => buildSubscription(one, '*')),
        },
        brokerName,
      );
    const mine = new Map<string, MessageQueue>();
    for (const one of topics) {
      const queues = readableQueues(await this.#client.topicRoute(one));
      const [first] = queues;
      if (first === undefined) continue;
      const ids = await this.#client.consumerIds(group, first.brokerName);
      for (const queue of allocate({ name: 'AVG' }, this.#host.name, queues, ids))
        mine.set(queueKey(queue), queue);
    }
    if (this.#ended) return;
    for (const key of this.#owned.keys()) if (!mine.has(key)) this.#owned.delete(key);
    for (const [key, queue] of mine)
      if (!this.#owned.has(key)) {
        this.#owned.set(key, queue);
        void this.#work(key, queue);
      }
  }

  async #work(key: string, queue: MessageQueue): Promise<void> {
    const isOwned = (): boolean => this.#owned.get(key) === queue;
    let offset: bigint | undefined;
    while (isOwned())
      try {
        offset ??= (await this.#client.queryOffset(this.#deps.group, queue)) ?? 0n;
        offset = await this.#consume(queue, offset, isOwned);
      } catch {
        await this.#clock.sleep(AGAIN_MS);
      }
  }

  /** @returns where to go on */
  async #consume(queue: MessageQueue, offset: bigint, isOwned: () => boolean): Promise<bigint> {
    const { group: consumerGroup } = this.#deps;
    const pulled = await this.#client.pull({
      consumerGroup,
      queue,
      offset,
      subscription: buildSubscription(queue.topic, '*'),
      maxMessages: 32,
      suspendMs: 5_000,
    });
    if (pulled.status === 'FOUND')
      for (const message of pulled.messages) {
        if (!isOwned()) return offset;
        await this.#handle(queue, message);
      }
    // What it does not own any more is not committed.
    if (isOwned() && pulled.nextBeginOffset > offset)
      await this.#client.commitOffset(consumerGroup, queue, pulled.nextBeginOffset);
    return pulled.nextBeginOffset;
  }

  async #handle(queue: MessageQueue, message: Message): Promise<void> {
    const { handlers, scheduler, group, maxReconsumeTimes } = this.#deps;
    const record = {
      messageId: message.msgId,
      receiptHandle: `${queueKey(queue)}/${message.queueOffset}`,
      body: message.body.toString(),
      rocketmq: { reconsumeTimes: message.reconsumeTimes },
    } as RocketMQRecord;
    const script = handlers.script(
      { Records: [record] } as RocketMQEvent,
      this.#host,
      scheduler.now,
    );
    this.#deps.deliveryStarted(script);
    await this.#clock.sleep(script.durationMs);
    this.#deps.deliveryEnded(script);
    const [delivery] = script.deliveries;
    if (delivery === undefined || delivery.outcome === 'ok' || delivery.outcome === 'dropped')
      return;
    for (;;)
      try {
        return await this.#client.sendBack({
          consumerGroup: group,
          brokerName: queue.brokerName,
          commitLogOffset: message.commitLogOffset,
          delayLevel: 2,
          originMsgId: message.msgId,
          originTopic: queue.topic,
          maxReconsumeTimes,
        });
      } catch {
        await this.#clock.sleep(AGAIN_MS);
      }
  }
}
