import { recreatesTopics } from '../plan.ts';
import type { CheckDefinition } from './check.ts';

export const committedBelowUnfinished: CheckDefinition = {
  name: 'committed-below-unfinished',
  invariant: 'The committed offset of a queue is never above its lowest unfinished message.',
  create: ({ ledger, plan }) => ({
    on(event) {
      // A holder may commit once before it learns that its offsets mean other messages; nothing is lost by it.
      if (event.kind !== 'committed' || recreatesTopics(plan)) return undefined;
      const unfinished = ledger.queues
        .get(event.queue)
        ?.find((position) => position.offset < event.offset && !ledger.isFinished(position));
      return unfinished === undefined
        ? undefined
        : `${event.queue} is committed at ${event.offset}, and message ${unfinished.number} at ${unfinished.offset} is unfinished`;
    },
  }),
};
