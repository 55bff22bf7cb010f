import { RETRY_TOPIC_PREFIX } from '../../src/model/message-queue.ts';
import { isWanted } from '../plan.ts';
import type { CheckDefinition } from './check.ts';

export const filtered: CheckDefinition = {
  name: 'filtered',
  invariant: 'No handler gets a message that the filter of its puller excludes.',
  create: ({ plan, sourceOf }) => {
    const tags = new Map(plan.messages.map(({ number, tag }) => [number, tag]));
    return {
      on(event) {
        if (event.kind !== 'delivery-started') return undefined;
        for (const { position, puller } of event.deliveries) {
          const { filter } = sourceOf(puller).subscriptions[0]!;
          const tag = tags.get(position.number);
          if (position.queue.startsWith(RETRY_TOPIC_PREFIX) || tag === undefined) continue;
          if ('expression' in filter && !isWanted(filter.expression, tag))
            return `message ${position.number} with tag ${tag} is delivered, and the filter is ${filter.expression}`;
        }
        return undefined;
      },
    };
  },
};
