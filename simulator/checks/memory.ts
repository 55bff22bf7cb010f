import type { Host } from '../kernel/scheduler.ts';
import type { Position } from '../world/events.ts';
import type { CheckDefinition } from './check.ts';

/** decide/pull: what queues of one puller may hold together. */
const SHARE = 0.4;
/** A broker gives so much at once, whatever is left of the share. */
const ANSWER_BYTES = 256 * 1024;

export const memory: CheckDefinition = {
  name: 'memory',
  invariant:
    'What a puller has pulled and not finished is at most 40 % of its memory, and one answer for each queue.',
  create: ({ plan, ledger }) => {
    const held = new Map<Host, Set<Position>>();
    const queues = plan.topics.reduce((sum, topic) => sum + topic.queues, 1) * plan.brokers.length;
    const bound = plan.memoryBytes * SHARE + queues * ANSWER_BYTES;
    return {
      on(event) {
        if (event.kind === 'ended') held.delete(event.host);
        if (event.kind !== 'pulled') return undefined;
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
