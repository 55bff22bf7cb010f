import type { CheckDefinition } from './check.ts';

/**
 * Brokers have no conditional write: a commit whose read came before an operator's reset may be under way when a pull takes
 * the reset. Its sender learns of the reset with that pull, and writes the offset again within this.
 */
const CORRECTED_AFTER_MS = 3_000;

export const operatorsOffset: CheckDefinition = {
  name: 'operators-offset',
  invariant: 'No commit of a holder undoes what an operator wrote, except one under way, for 3 s.',
  create: ({ plan, scheduler }) => {
    // A broker that is killed goes back by itself.
    if (plan.faults.some((fault) => fault.kind === 'broker-restart')) return {};
    const last = new Map<string, bigint>();
    const undone = new Map<string, { readonly since: number; readonly offset: bigint }>();
    const overdue = (by: number): string | undefined => {
      for (const [queue, { since, offset }] of undone) {
        if (by - since <= CORRECTED_AFTER_MS) continue;
        undone.delete(queue);
        return `${queue} is committed at ${offset}, and an operator had moved it to ${last.get(queue)}`;
      }
      return undefined;
    };
    return {
      on(event) {
        if (event.kind === 'skipped') {
          const before = last.get(event.queue) ?? 0n;
          // The confirmation of a write may be later than the next operator's.
          if (!event.done || event.to > before) last.set(event.queue, event.to);
        }
        if (event.kind === 'committed') {
          const { queue, offset } = event;
          const written = last.get(queue);
          if (written === undefined || offset >= written) undone.delete(queue);
          else if (!undone.has(queue)) undone.set(queue, { since: scheduler.now, offset });
        }
        return overdue(scheduler.now);
      },
      atEnd: () => {
        const text = overdue(Number.POSITIVE_INFINITY);
        return text === undefined ? [] : [text];
      },
    };
  },
};
