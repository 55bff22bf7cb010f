import { createRocketMQClient } from '../client/rocketmq-client.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { ClusterConfig } from '../model/source.ts';
import type { CallOptions, OutgoingMessage, RocketMQ, SendResult } from '../ports/rocketmq.ts';

export interface SendOptions extends CallOptions {
  /** Default: the writable queues of the topic, in turn. */
  readonly queue?: MessageQueue;
}

/**
 * A small producer, for tools, tests and functions that send a message now and then: no transactions, no compression, no repetition of a send whose
 * answer was lost.
 *
 * ```ts
 * await using producer = new Producer({ nameServers: ['127.0.0.1:9876'] });
 * await producer.send({ topic: 'orders', body: Buffer.from('{"orderId":1}'), keys: ['order-1'] });
 * ```
 *
 * Errors are of the family in errors.ts: TopicNotFoundError, PermissionError, ConnectionError, RequestTimeoutError (it may have been stored), BrokerError.
 */
export class Producer implements AsyncDisposable {
  readonly #client: RocketMQ;

  /** @throws ConfigError for a cluster without name servers, or with an address that is none */
  constructor(cluster: ClusterConfig) {
    this.#client = createRocketMQClient(cluster);
  }

  async send(message: OutgoingMessage, options: SendOptions = {}): Promise<SendResult> {
    return await this.#client.send(message, options);
  }

  /** All of one topic; they land in one queue, in their order. */
  async sendBatch(
    messages: readonly OutgoingMessage[],
    options: SendOptions = {},
  ): Promise<SendResult> {
    return await this.#client.sendBatch(messages, options);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
