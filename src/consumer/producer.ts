import { callOptions, messageQueue } from '../client/check-calls.ts';
import type { ClusterOptions } from '../client/check-cluster.ts';
import { checkMessage, checkMessages } from '../client/check-message.ts';
import { optional, refuse } from '../client/check-values.ts';
import { createRocketMQClient } from '../client/rocketmq-client.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { CallOptions, OutgoingMessage, RocketMQ, SendResult } from '../ports/rocketmq.ts';

export interface SendOptions extends CallOptions {
  /** Default: the writable queues of the topic, in turn. */
  readonly queue?: MessageQueue;
}

const checkSendOptions = callOptions({ queue: optional(messageQueue) });

/** @throws ConfigError */
function checkSend(options: SendOptions, topic: string | undefined): void {
  checkSendOptions(options, 'options');
  const { queue } = options;
  if (queue !== undefined && queue.topic !== topic)
    refuse(queue.topic, 'options.queue.topic', `a queue of the message's topic "${topic}"`);
}

/**
 * A small producer, for tools, tests and functions that send a message now and then: no transactions, no compression, no repetition of a send whose
 * answer was lost.
 *
 * ```ts
 * await using producer = new Producer({ nameServers: ['127.0.0.1:9876'] });
 * await producer.send({ topic: 'orders', body: JSON.stringify({ orderId: 1 }), keys: 'order-1' });
 * ```
 *
 * A field that is missing, misspelt or not valid is refused with ConfigError, which names it, before anything is sent.
 * Errors are of the family in errors.ts: TopicNotFoundError, PermissionError, ConnectionError, RequestTimeoutError (it may have been stored), BrokerError.
 */
export class Producer implements AsyncDisposable {
  readonly #client: RocketMQ;

  /** Connects when first used. @throws ConfigError for options that are missing, misspelt or not valid */
  constructor(cluster: ClusterOptions) {
    this.#client = createRocketMQClient(cluster);
  }

  async send(message: OutgoingMessage, options: SendOptions = {}): Promise<SendResult> {
    const checked = checkMessage(message);
    checkSend(options, checked.topic);
    return await this.#client.send(checked, options);
  }

  /** All of one topic; they land in one queue, in their order. */
  async sendBatch(
    messages: readonly OutgoingMessage[],
    options: SendOptions = {},
  ): Promise<SendResult> {
    const checked = checkMessages(messages);
    checkSend(options, checked[0]?.topic);
    return await this.#client.sendBatch(checked, options);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
