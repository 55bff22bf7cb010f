import type { QueueMemory } from '../decide/pull/memory-budget.ts';
import { inWindow } from '../flow/in-window.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { PopHandle, PoppedMessage } from '../model/pop.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { isCompressed, openMessage } from '../records/open-message.ts';
import { sendFailureOf } from './send-failure.ts';

interface CopyParts {
  readonly client: Pick<RocketMQ, 'copyToPopRetry' | 'ack'>;
  readonly source: Pick<SourceConfig, 'consumerGroup'>;
  readonly queue: MessageQueue;
  readonly logger: Logger;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'signal'>;
  readonly memory: Pick<QueueMemory, 'maxMessageBytes'>;
}

/**
 * Copies popped messages that their broker would not bring back as it should (`unrevivable`) into
 * the pop retry topic, before any handler has them: there each is a record of its own, and brokers
 * count its deliveries from 0, also after a puller's death. A record is acknowledged once all of its
 * messages are copied.
 * @returns copies what needs it; resolves with the messages that go to their handler now, among them
 *   those that the broker has not taken
 */
export function createPoppedCopier({
  client,
  source: { consumerGroup },
  queue,
  logger,
  lifecycle,
  memory,
}: CopyParts): (popped: readonly PoppedMessage[]) => Promise<readonly PoppedMessage[]> {
  // The broker takes no copy at all, for example because it makes no subscription groups.
  let forbidden = false;

  async function copy({ message }: PoppedMessage): Promise<boolean> {
    if (forbidden) return false;
    try {
      const opened = openMessage(message, memory.maxMessageBytes);
      await client.copyToPopRetry(consumerGroup, opened, { signal: lifecycle.signal('requests') });
      return true;
    } catch (error) {
      if (lifecycle.isLost) return false;
      const failure = sendFailureOf(error);
      forbidden ||= failure === 'forbidden';
      logger.warn(
        {
          err: error,
          code: 'ROCKETMQ_POP_COPY_REFUSED',
          offset: String(message.queueOffset),
          failure,
        },
        'copy to the pop retry topic not taken, the message is delivered without it',
      );
      return false;
    }
  }

  async function acknowledge(handle: PopHandle): Promise<void> {
    const options = { signal: lifecycle.signal('requests') };
    await client.ack(consumerGroup, queue.topic, handle, options).catch((error: unknown) => {
      if (!lifecycle.isLost)
        logger.warn(
          {
            err: error,
            code: 'ROCKETMQ_ACK_NOT_CONFIRMED',
            offset: String(handle.queueOffset),
          },
          'record not acknowledged after its messages were copied, it may be delivered again',
        );
    });
  }

  return async (popped) => {
    const unrevivable = popped.filter((one) => one.unrevivable !== undefined);
    if (unrevivable.length === 0) return popped;
    const copied = new Set<PoppedMessage>();
    const copyOne = async (one: PoppedMessage): Promise<void> => {
      if (await copy(one)) copied.add(one);
    };
    const isSentAsStored = ({ message }: PoppedMessage): boolean => !isCompressed(message);
    // A compressed body of a few KB may take all that one message may, beside what handlers have.
    await Promise.all([
      inWindow(unrevivable.filter(isSentAsStored), copyOne),
      inWindow(
        unrevivable.filter((one) => !isSentAsStored(one)),
        copyOne,
        1,
      ),
    ]);
    const remaining = popped.filter((one) => !copied.has(one));
    const open = new Set(remaining.map(({ handle }) => handle));
    const done = new Set([...copied].map(({ handle }) => handle));
    await inWindow(
      [...done].filter((handle) => !open.has(handle)),
      acknowledge,
    );
    return remaining;
  };
}
