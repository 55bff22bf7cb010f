import type { CheckDefinition } from './check.ts';

export const popped: CheckDefinition = {
  name: 'popped',
  invariant:
    'Mode pop: a message is acknowledged only after its end, and delivered only while it is invisible to others.',
  create: ({ plan, ledger, scheduler }) => ({
    on(event) {
      if (event.kind === 'acknowledged') {
        const { number, key } = event.position;
        return ledger.isFinished(event.position) || ledger.hasEnded(ledger.story(number))
          ? undefined
          : `message ${number} at ${key} is acknowledged and has no end`;
      }
      if (event.kind !== 'delivery-started') return undefined;
      const late = event.deliveries.find(
        ({ position: { lentUntil } }) =>
          lentUntil !== undefined && scheduler.now > lentUntil + 2 * plan.maxSkewMs,
      );
      return late && `message ${late.position.number} at ${late.position.key} is visible to others`;
    },
  }),
};
