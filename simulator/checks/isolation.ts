import type { Delivery, Position } from '../world/events.ts';
import type { CheckDefinition } from './check.ts';

/** A batch that failed as a whole. */
interface Isolation {
  readonly puller: Delivery['puller'];
  readonly count: number;
  readonly maxCalls: number;
  calls: number;
}

export const isolation: CheckDefinition = {
  name: 'isolation',
  invariant:
    'A batch that fails as a whole, for one message or for all of them, is called 2·log2(n) + 1 times at most until each of its messages has failed or is done.',
  create: ({ plan: { isolates } }) => {
    const isolations = new Map<Position, Isolation>();
    return {
      on(event) {
        if (isolates !== true) return undefined;
        if (event.kind === 'delivery-ended') open(isolations, event.deliveries);
        if (event.kind !== 'delivery-started') return undefined;
        const [first] = event.deliveries;
        const of = first && isolations.get(first.position);
        if (of === undefined || of.puller !== first?.puller) return undefined;
        of.calls++;
        return of.calls === of.maxCalls + 1
          ? `a batch of ${of.count} messages that failed as a whole is called more than ${of.maxCalls} times`
          : undefined;
      },
    };
  },
};

function open(isolations: Map<Position, Isolation>, deliveries: readonly Delivery[]): void {
  const [first] = deliveries;
  const count = deliveries.length;
  if (first === undefined || count < 2 || isolations.get(first.position)?.puller === first.puller)
    return;
  if (!deliveries.every(({ failedWithCall }) => failedWithCall)) return;
  const maxCalls = 2 * Math.ceil(Math.log2(count)) + 1;
  const opened = { puller: first.puller, count, maxCalls, calls: 1 };
  for (const { position } of deliveries) isolations.set(position, opened);
}
