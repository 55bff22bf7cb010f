import type { Fault } from '../plan.ts';
import type { CheckDefinition } from './check.ts';

export const operatorsOffset: CheckDefinition = {
  name: 'operators-offset',
  invariant: 'No commit of a holder undoes what an operator wrote.',
  create: ({ plan, ledger }) => {
    // A broker that is killed goes back by itself.
    const has = (kind: Fault['kind']) => plan.faults.some((fault) => fault.kind === kind);
    if (has('broker-restart')) return {};
    // A reset by mqadmin that waits for its pull wins over the operator function, whose write is refused.
    if (has('mqadmin-reset') && has('operator')) return {};
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
