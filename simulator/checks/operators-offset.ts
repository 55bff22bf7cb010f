import type { CheckDefinition } from './check.ts';

export const operatorsOffset: CheckDefinition = {
  name: 'operators-offset',
  invariant: 'No commit of a holder undoes what an operator wrote.',
  create: ({ plan }) => {
    // A broker that is killed goes back by itself.
    if (plan.faults.some((fault) => fault.kind === 'broker-restart')) return {};
    const last = new Map<string, bigint>();
    return {
      on(event) {
        if (event.kind === 'skipped') {
          const before = last.get(event.queue) ?? 0n;
          // The confirmation of a write may be later than the next operator's.
          if (!event.done || event.to > before) last.set(event.queue, event.to);
        }
        if (event.kind !== 'committed') return undefined;
        const written = last.get(event.queue);
        return written !== undefined && event.offset < written
          ? `${event.queue} is committed at ${event.offset}, and an operator had moved it to ${written}`
          : undefined;
      },
    };
  },
};
