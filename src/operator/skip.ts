import { storedOffset } from '../flow/stored-offset.ts';
import type { Message } from '../model/message.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import { whyAsMessage } from '../records/own-retry.ts';
import type { Arguments } from './arguments.ts';
import { fenced } from './fence.ts';
import { type MessageView, messageView } from './message-view.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { refused, usage } from './operator-error.ts';
import { messageAt } from './queue-figures.ts';
import { refuseWhereOthersCount, writeOffset } from './reset.ts';
import { assignmentsOf, chooseQueue, chooseSource } from './scope.ts';

export interface SkipAnswer {
  readonly queue: string;
  readonly offset: string;
  /** Absent: nothing can be read there; it is passed all the same. */
  readonly message?: MessageView;
  readonly parked: boolean;
  /** What is stored now. Absent: a look, or the queue is still held. */
  readonly stored?: string;
  /** A puller still holds the queue: ask again. */
  readonly held: boolean;
}

const LONG_BODY = 4_000;

/** Moves a group past the one message that it stands at; with `park` it goes to the dead letters first. Fenced, written, read back. */
export async function skip(deps: OperatorDeps, args: Arguments): Promise<SkipAnswer> {
  const source = chooseSource(deps, args);
  const queue =
    chooseQueue(source, args) ??
    usage('--queue is missing: give TOPIC/BROKER/ID, for example orders/broker-a/0');
  const offset =
    args.offset('offset') ??
    usage(
      '--offset is missing: give the offset of the message; status shows where the group stands',
    );
  const park = args.flag('park');
  const dryRun = args.flag('dry-run');
  args.finish();
  await refuseWhereOthersCount(deps, source);
  const client = deps.clients(source.cluster);
  const { consumerGroup } = source;
  const readStored = async (): Promise<bigint> => {
    const item = (await assignmentsOf(deps, source)).find(
      (each) => queueKey(each.queue) === queueKey(queue),
    );
    return (
      (await storedOffset(client, source, queue, item?.committedOffset)) ??
      item?.startOffset ??
      client.minOffset(queue)
    );
  };
  const refuseUnlessHead = (stored: bigint): void => {
    if (stored > offset)
      refused(
        `the group is past offset ${offset} of ${queueKey(queue)} already: it stands at ${stored}`,
      );
    if (stored < offset)
      refused(
        `the group stands at ${stored} of ${queueKey(queue)}: skipping ${offset} would lose the ${offset - stored} messages before it; skip those first, or use reset --to offset:${offset + 1n}`,
      );
  };
  refuseUnlessHead(await readStored());
  if (offset >= (await client.maxOffset(queue)))
    refused(
      `the group is at the end of ${queueKey(queue)}: there is no message at offset ${offset} to skip`,
    );
  const message = await messageAt(client, consumerGroup, queue, offset);
  const told = {
    queue: queueKey(queue),
    offset: String(offset),
    ...(message === undefined ? {} : { message: messageView(message, LONG_BODY) }),
  };
  if (park && message === undefined)
    refused(
      `nothing can be read at offset ${offset} of ${queueKey(queue)}, so that it cannot be parked: skip it without --park`,
    );
  if (dryRun) return { ...told, parked: false, held: false };
  const { done } = await fenced(
    deps,
    source,
    [queue],
    'an operator skips a message',
    async (one: MessageQueue) => {
      // It may have been done while its holder drained.
      refuseUnlessHead(await readStored());
      // To the dead letters first: a message is rather twice than nowhere.
      if (park && message !== undefined) await parkMessage(client, consumerGroup, one, message);
      return writeOffset(deps, source, one, offset + 1n, 'keep-counts');
    },
  );
  const [stored] = done;
  return {
    ...told,
    parked: park && stored !== undefined,
    ...(stored === undefined ? {} : { stored: String(stored) }),
    held: stored === undefined,
  };
}

async function parkMessage(
  client: RocketMQ,
  consumerGroup: string,
  { brokerName }: MessageQueue,
  message: Message,
): Promise<void> {
  // Request 36 would keep the topic of an earlier life, and a redrive would look for it.
  if (whyAsMessage(message, { consumerGroup }, false) === 'misleading')
    return client.sendBackAsNormalMessage(consumerGroup, message, 'dead-letter', 0);
  return client.sendBack({
    ...{ consumerGroup, brokerName, commitLogOffset: message.commitLogOffset },
    ...{ delayLevel: 'dead-letter', maxReconsumeTimes: 0 },
    ...{ originMsgId: message.offsetMsgId, originTopic: message.topic },
  });
}
