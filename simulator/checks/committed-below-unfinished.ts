import type { CheckDefinition } from './check.ts';

export const committedBelowUnfinished: CheckDefinition = {
  name: 'committed-below-unfinished',
  invariant: 'The committed offset of a queue is never above its lowest unfinished message.',
  create: ({ ledger }) => ({
    on(event) {
      if (event.kind !== 'committed') return undefined;
      const unfinished = ledger.queues
        .get(event.queue)
        ?.find((position) => position.offset < event.offset && !ledger.isFinished(position));
      return unfinished === undefined
        ? undefined
        : `${event.queue} is committed at ${event.offset}, and message ${unfinished.number} at ${unfinished.offset} is unfinished`;
    },
  }),
};
