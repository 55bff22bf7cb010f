import { expectedOrder } from '../plan.ts';
import type { Delivery, Position } from '../world/events.ts';
import type { CheckDefinition } from './check.ts';

export const order: CheckDefinition = {
  name: 'order',
  invariant:
    'In an ordered source no message is delivered before the ones in front of it in its group are finished, and no two calls of a group overlap.',
  create: ({ plan, ledger }) => {
    const expected = expectedOrder(plan);
    if (expected === undefined) return {};
    const isOfOneGroup = (a: Position, b: Position): boolean =>
      a.queue === b.queue && (expected.by === 'queue' || a.messageKey === b.messageKey);
    const running = new Set<Delivery>();
    return {
      on(event) {
        if (event.kind === 'delivery-ended')
          for (const each of event.deliveries) running.delete(each);
        if (event.kind !== 'delivery-started') return undefined;
        const batch = new Set(event.deliveries);
        const inBatch = new Set(event.deliveries.map(({ position }) => position));
        let before: Position | undefined;
        for (const { position } of event.deliveries) {
          if (expected.by === 'queue' && before !== undefined && before.offset >= position.offset)
            return `message ${position.number} comes after ${before.number} in one event`;
          before = position;
          for (const other of running)
            if (!batch.has(other) && isOfOneGroup(other.position, position))
              return `message ${position.number} is delivered while message ${other.position.number} of its group is with a handler`;
          const skipped = ledger.queues
            .get(position.queue)
            ?.find(
              (earlier) =>
                earlier.offset < position.offset &&
                isOfOneGroup(earlier, position) &&
                !inBatch.has(earlier) &&
                !ledger.isFinished(earlier),
            );
          if (skipped !== undefined)
            return `message ${position.number} at ${position.offset} is delivered before message ${skipped.number} at ${skipped.offset}`;
        }
        for (const each of event.deliveries) running.add(each);
        return undefined;
      },
    };
  },
};
