import { queueKey } from '../model/message-queue.ts';
import type { GroupStatus, QueueStatus, StatusAnswer } from './status.ts';

export interface StatusChange {
  /** Epoch ms of the look that saw it. */
  readonly at: number;
  readonly consumerGroup: string;
  readonly queue?: string;
  readonly text: string;
}

const SHORT_ID = 8;

/** What is different between two looks; of the first one alone nothing is told. */
export function changesOf(before: StatusAnswer | undefined, after: StatusAnswer): StatusChange[] {
  if (before === undefined) return [];
  const known = new Map(before.groups.map((group) => [nameOf(group), group]));
  return after.groups.flatMap((group) => {
    const old = known.get(nameOf(group));
    if (old === undefined) return [];
    const queues = new Map(old.queues.map((queue) => [queueKey(queue), queue]));
    const at = { at: after.at, consumerGroup: group.consumerGroup };
    return [
      ...group.queues.flatMap((queue) =>
        texts(queues.get(queueKey(queue)), queue).map((text) => ({
          ...at,
          queue: queueKey(queue),
          text,
        })),
      ),
      ...deadLetters(old, group).map((text) => ({ ...at, text })),
    ];
  });
}

function nameOf({ cluster, consumerGroup }: GroupStatus): string {
  return `${cluster}/${consumerGroup}`;
}

function texts(before: QueueStatus | undefined, after: QueueStatus): string[] {
  if (before === undefined) return ['is new'];
  return [
    ...(before.slot === after.slot
      ? []
      : [`belongs to slot ${after.slot ?? 'none'} (was ${before.slot ?? 'none'})`]),
    ...(before.holder === after.holder ? [] : [holderText(before.holder, after.holder)]),
    ...(before.state === after.state
      ? []
      : [`is ${after.state}${after.reason === undefined ? '' : ` (${after.reason})`}`]),
    ...offsets(before, after),
  ];
}

function holderText(before: string | undefined, after: string | undefined): string {
  if (after === undefined) return `released by ${before?.slice(0, SHORT_ID)}`;
  return before === undefined
    ? `taken by ${after.slice(0, SHORT_ID)}`
    : `taken over from ${before.slice(0, SHORT_ID)} by ${after.slice(0, SHORT_ID)}`;
}

function offsets(before: QueueStatus, after: QueueStatus): string[] {
  const arrived =
    BigInt(after.brokerOffset ?? 0) - BigInt(before.brokerOffset ?? after.brokerOffset ?? 0);
  const done =
    BigInt(after.consumerOffset ?? 0) - BigInt(before.consumerOffset ?? after.consumerOffset ?? 0);
  return [
    ...(arrived > 0n ? [`${arrived} arrived`] : []),
    ...(done > 0n
      ? [`committed ${before.consumerOffset} → ${after.consumerOffset}, lag ${after.lag}`]
      : []),
    ...(done < 0n
      ? [`offset was set back ${before.consumerOffset} → ${after.consumerOffset}`]
      : []),
  ];
}

function deadLetters(before: GroupStatus, after: GroupStatus): string[] {
  const more =
    BigInt(after.deadLetters?.stored ?? 0) -
    BigInt(before.deadLetters?.stored ?? after.deadLetters?.stored ?? 0);
  return more > 0n ? [`${more} dead letters more, ${after.deadLetters?.waiting} wait`] : [];
}
