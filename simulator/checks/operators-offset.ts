import type { CheckDefinition } from './check.ts';

export const operatorsOffset: CheckDefinition = {
  name: 'operators-offset',
  invariant: 'No commit of a holder undoes what an operator wrote.',
  create: ({ plan, ledger }) => {
    // A broker that is killed goes back by itself.
    if (plan.faults.some((fault) => fault.kind === 'broker-restart')) return {};
    return {
      on(event) {
        if (event.kind !== 'committed') return undefined;
        const written = ledger.skipped.get(event.queue);
        return written !== undefined && event.offset < written
          ? `${event.queue} is committed at ${event.offset}, and an operator had moved it to ${written}`
          : undefined;
      },
    };
  },
};
