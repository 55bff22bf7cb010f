import type { MessageQueue } from '../../model/message-queue.ts';

/** A Map<MessageQueue, …> as fastjson writes it: with objects as keys, which no JSON parser takes. `value` is JSON text. */
export function queueMap(
  rows: readonly { readonly queue: MessageQueue; readonly value: string }[],
): string {
  const key = ({ brokerName, queueId, topic }: MessageQueue) =>
    JSON.stringify({ brokerName, queueId, topic });
  return `{${rows.map(({ queue, value }) => `${key(queue)}:${value}`).join(',')}}`;
}
