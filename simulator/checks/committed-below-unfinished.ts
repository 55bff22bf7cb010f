import type { Host } from '../kernel/scheduler.ts';
import { recreatesTopics } from '../plan.ts';
import type { QueueName } from '../world/events.ts';
import type { Ledger } from '../world/ledger.ts';
import type { Check, CheckDefinition } from './check.ts';

export const committedBelowUnfinished: CheckDefinition = {
  name: 'committed-below-unfinished',
  invariant:
    'The committed offset of a queue is never above its lowest unfinished message. Of a topic that is created again: no holder that has met the new one commits so.',
  create: ({ ledger, plan, scheduler }) =>
    recreatesTopics(plan)
      ? ofEachLife(ledger, () => scheduler.now)
      : {
          on: (event) =>
            event.kind === 'committed' ? whyAbove(ledger, event.queue, event.offset) : undefined,
        },
};

function whyAbove(ledger: Ledger, queue: QueueName, offset: bigint): string | undefined {
  const unfinished = ledger.queues
    .get(queue)
    ?.find((position) => position.offset < offset && !ledger.isFinished(position));
  return unfinished === undefined
    ? undefined
    : `${queue} is committed at ${offset}, and message ${unfinished.number} at ${unfinished.offset} is unfinished`;
}

/** A holder of the deleted topic's queue may commit an offset of it until it delivers a message of the new one. */
function ofEachLife(ledger: Ledger, now: () => number): Check {
  /** By queue: its holder, and since when it has it or is known to have met the present topic. */
  const met = new Map<QueueName, { readonly holder: string; readonly at: number }>();
  const hasMet = (queue: QueueName, { name }: Host): boolean => {
    const { holder, at } = met.get(queue) ?? { holder: undefined, at: 0 };
    return holder === name && at >= (ledger.deletedAt.get(queue.split('/')[0] ?? '') ?? 0);
  };
  return {
    on(event) {
      switch (event.kind) {
        case 'acquired':
          met.set(event.queue, { holder: event.holder, at: now() });
          return undefined;
        case 'delivery-started':
          for (const { position, puller } of event.deliveries)
            if (met.get(position.queue)?.holder === puller.name && ledger.isCurrent(position))
              met.set(position.queue, { holder: puller.name, at: position.storedAt });
          return undefined;
        case 'commit-sent':
          return hasMet(event.queue, event.by)
            ? whyAbove(ledger, event.queue, event.offset)
            : undefined;
        default:
          return undefined;
      }
    },
  };
}
