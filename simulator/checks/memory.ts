import type { Host } from '../kernel/scheduler.ts';
import type { Position } from '../world/events.ts';
import type { CheckDefinition } from './check.ts';

/** decide/pull: what queues of one puller may hold together. */
const SHARE = 0.4;

export const memory: CheckDefinition = {
  name: 'memory',
  invariant: 'What a puller has pulled or popped and not finished is at most 40 % of its memory.',
  create: ({ plan, ledger }) => {
    const held = new Map<Host, Set<Position>>();
    const bound = plan.memoryBytes * SHARE;
    return {
      on(event) {
        if (event.kind === 'ended') held.delete(event.host);
        if (event.kind !== 'received') return undefined;
        const positions = held.get(event.by) ?? new Set();
        held.set(event.by, positions);
        for (const position of event.positions) positions.add(position);
        let bytes = 0;
        for (const position of positions)
          if (ledger.isFinished(position)) positions.delete(position);
          else bytes += position.bytes;
        return bytes > bound
          ? `${event.by.name} holds ${bytes} bytes, and ${Math.round(bound)} are allowed`
          : undefined;
      },
    };
  },
};
