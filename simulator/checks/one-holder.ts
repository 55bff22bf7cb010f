import type { Host } from '../kernel/scheduler.ts';
import { JAVA } from '../world/java-member.ts';
import { SECOND_STAGE } from '../world/stage.ts';
import type { CheckDefinition } from './check.ts';

/** Each deployment has leases of its own. */
const stageOf = (holder: string): string => (holder.startsWith(SECOND_STAGE) ? SECOND_STAGE : '');

export const oneHolder: CheckDefinition = {
  name: 'one-holder',
  invariant:
    'Only the last process of a deployment that acquired a queue delivers, sends back and commits its messages.',
  create: () => {
    const holders = new Map<string, { readonly holder: string; readonly fence: number }>();
    const check = (by: Host, queue: string, what: string): string | undefined => {
      const last = holders.get(stageOf(by.name) + queue);
      return last === undefined || last.holder === by.name
        ? undefined
        : `${by.name} ${what} ${queue}, which ${last.holder} has acquired (fence ${last.fence})`;
    };
    return {
      on(event) {
        switch (event.kind) {
          case 'acquired':
            holders.set(stageOf(event.holder) + event.queue, event);
            return undefined;
          case 'delivery-started': {
            const [first] = event.deliveries;
            if (first?.puller.name.startsWith(JAVA)) return undefined;
            return first && check(first.puller, first.position.queue, 'delivers a batch of');
          }
          case 'commit-sent':
            return check(event.by, event.queue, 'commits');
          case 'send-back-sent':
            return check(event.by, event.position.queue, 'sends back a message of');
          default:
            return undefined;
        }
      },
    };
  },
};
