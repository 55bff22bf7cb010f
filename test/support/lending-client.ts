import type { Message } from '../../src/model/message.ts';
import type { PopHandle, PoppedMessage } from '../../src/model/pop.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';
import { messageAt } from './records.ts';

/** The calls of a broker in mode pop that lends each of `count` messages once, and notes how each came back, by its offset. */
export function lendingClient(
  count: number,
  message: (n: number) => Message = (n) =>
    messageAt(n, { body: Buffer.from(String(n)), properties: { UNIQ_KEY: `id-${n}` } }),
) {
  const acknowledged: number[] = [];
  const givenBack: number[] = [];
  const deadLettered: bigint[] = [];
  let next = 0;
  const calls: Pick<RocketMQ, 'pop' | 'ack' | 'changeInvisibleTime' | 'sendBack'> = {
    async pop({ maxMessages, invisibleMs }) {
      const messages: PoppedMessage[] = [];
      for (; messages.length < maxMessages && next < count; next++)
        messages.push({ message: message(next), handle: handleOf(next, invisibleMs) });
      return { messages, filteredOut: [], undecodable: [], full: messages.length === 0 };
    },
    async ack(_group, _topic, { queueOffset }) {
      acknowledged.push(Number(queueOffset));
    },
    async changeInvisibleTime(_group, _topic, handle, invisibleMs) {
      givenBack.push(Number(handle.queueOffset));
      return { ...handle, invisibleTime: BigInt(invisibleMs) };
    },
    async sendBack({ commitLogOffset }) {
      deadLettered.push(commitLogOffset);
    },
  };
  return { calls, acknowledged, givenBack, deadLettered };
}

function handleOf(offset: number, invisibleMs: number): PopHandle {
  return {
    ckQueueOffset: 0n,
    popTime: BigInt(Date.now()),
    invisibleTime: BigInt(invisibleMs),
    reviveQid: 0,
    retryMark: 0,
    brokerName: 'broker-a',
    queueId: 0,
    queueOffset: BigInt(offset),
  };
}
