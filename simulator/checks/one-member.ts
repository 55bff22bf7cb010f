import { JAVA } from '../world/java-member.ts';
import type { CheckDefinition } from './check.ts';

/** Members see each other with their heartbeats, and finish what they have begun. */
const SETTLED_AFTER_MS = 45_000;

export const oneMember: CheckDefinition = {
  name: 'one-member',
  invariant: 'Beside members that are Java’s, a queue has one member at a time.',
  create: ({ faultTimes, scheduler }) => {
    const last = new Map<string, { readonly isJava: boolean; readonly at: number }>();
    return {
      on(event) {
        if (event.kind !== 'delivery-started') return undefined;
        const [first] = event.deliveries;
        if (first === undefined) return undefined;
        const { now } = scheduler;
        const isJava = first.puller.name.startsWith(JAVA);
        const before = last.get(first.position.queue);
        last.set(first.position.queue, { isJava, at: now });
        if (before === undefined || before.isJava === isJava) return undefined;
        if (faultTimes.some((at) => at >= before.at - SETTLED_AFTER_MS)) return undefined;
        return `${first.puller.name} delivers messages of ${first.position.queue}, and ${now - before.at} ms ago another member did`;
      },
    };
  },
};
