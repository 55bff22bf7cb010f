import type { Plan } from '../plan.ts';
import type { CheckDefinition } from './check.ts';

/** A batch may wait for its turn, and each clock may be wrong. */
const LATE_MS = 15_000;

/** Infinity: messages may be of any age. */
export function maxAgeOf({ source }: Plan): number {
  const [subscription] = source.subscriptions;
  return 1000 * (subscription?.maximumRecordAgeInSeconds ?? Number.POSITIVE_INFINITY);
}

export const recordAge: CheckDefinition = {
  name: 'record-age',
  invariant:
    'No handler gets a message that its broker stored longer ago than maximumRecordAgeInSeconds.',
  create: ({ plan, ledger, scheduler }) => {
    const maxAgeMs = maxAgeOf(plan);
    return {
      on(event) {
        if (event.kind !== 'delivery-started') return undefined;
        for (const { position } of event.deliveries) {
          const { storedAt = scheduler.now } = ledger.story(position.number).positions[0] ?? {};
          const age = scheduler.now - storedAt;
          if (age > maxAgeMs + LATE_MS)
            return `message ${position.number} is delivered ${age} ms after its first store, and ${maxAgeMs} are allowed`;
        }
        return undefined;
      },
    };
  },
};
