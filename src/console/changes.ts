import {
  type Change,
  type GroupView,
  groupName,
  type QueueView,
  queueName,
  type Snapshot,
} from './console-model.ts';

const SHORT_ID = 8;

/** What happened to queues between two looks: assigned, taken, released, moved, paused, retired. */
export function changesBetween(before: Snapshot | undefined, after: Snapshot): Change[] {
  if (before === undefined) return [];
  return after.groups.flatMap((group) => {
    const known = before.groups.find((other) => groupName(other) === groupName(group));
    const queues = new Map(known?.queues.map((queue) => [queueName(queue), queue]));
    return group.queues.flatMap((queue) =>
      texts(queues.get(queueName(queue)), queue).map((text) =>
        change(after.at, group, queue, text),
      ),
    );
  });
}

function change(at: number, group: GroupView, queue: QueueView, text: string): Change {
  return { at, consumerGroup: groupName(group), queue: queueName(queue), text };
}

function texts(before: QueueView | undefined, after: QueueView): string[] {
  if (before === undefined) return [`assigned to ${owner(after)}`];
  return [
    ...(before.slot === after.slot ? [] : [`moves from ${owner(before)} to ${owner(after)}`]),
    ...(before.holder === after.holder ? [] : [handOver(before.holder, after.holder)]),
    ...(before.state !== after.state && TOLD.has(after.state) ? [`is ${after.state}`] : []),
  ];
}

function owner({ slot }: QueueView): string {
  return slot === undefined ? 'another member' : `slot ${slot}`;
}

/** Others show in who holds it. */
const TOLD: ReadonlySet<string> = new Set(['paused', 'disabled', 'retired']);

function handOver(before: string | undefined, after: string | undefined): string {
  if (after === undefined) return `released by ${short(before)}`;
  return before === undefined
    ? `taken by ${short(after)}`
    : `taken over from ${short(before)} by ${short(after)}`;
}

function short(holder = ''): string {
  return holder.slice(0, SHORT_ID);
}
