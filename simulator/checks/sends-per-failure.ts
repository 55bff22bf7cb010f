import { MAX_UNANSWERED } from '../../src/decide/retry/send-steps.ts';
import type { CheckDefinition } from './check.ts';

export const sendsPerFailure: CheckDefinition = {
  name: 'sends-per-failure',
  invariant:
    'A failed delivery makes one copy of its message, and at most two when answers are lost.',
  create: ({ ledger }) => {
    const copies = new Map<number, number>();
    return {
      on(event) {
        if (event.kind !== 'parked') return undefined;
        const made = (copies.get(event.number) ?? 0) + 1;
        copies.set(event.number, made);
        const failed = ledger
          .story(event.number)
          .positions.flatMap(({ deliveries }) => deliveries)
          .filter(({ outcome }) => outcome !== 'ok').length;
        return made > MAX_UNANSWERED * failed
          ? `message ${event.number} was sent back ${made} times after ${failed} failed deliveries`
          : undefined;
      },
    };
  },
};
