import type { CheckDefinition } from './check.ts';

export const operatorsOffset: CheckDefinition = {
  name: 'operators-offset',
  invariant: 'No commit of a holder undoes what an operator wrote and had confirmed.',
  create: ({ plan }) => {
    // A broker that is killed goes back by itself.
    if (plan.faults.some((fault) => fault.kind === 'broker-restart')) return {};
    const confirmed = new Map<string, bigint>();
    return {
      on(event) {
        if (event.kind === 'skipped') {
          const before = confirmed.get(event.queue);
          // A write that is not confirmed yet may be refused, because mqadmin's reset wins, which may be lower.
          if (event.done || (before !== undefined && event.to < before))
            confirmed.set(event.queue, event.to);
        }
        if (event.kind !== 'committed') return undefined;
        const written = confirmed.get(event.queue);
        return written !== undefined && event.offset < written
          ? `${event.queue} is committed at ${event.offset}, and an operator had moved it to ${written}`
          : undefined;
      },
    };
  },
};
