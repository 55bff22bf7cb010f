import { storedPlace } from '../../src/store/places.ts';
import { JAVA } from '../world/java-member.ts';
import type { CheckDefinition } from './check.ts';

/** Members see each other with their heartbeats, and finish what they have begun. */
const SETTLED_AFTER_MS = 45_000;
/** A slot whose lease was not renewed for so long had no member. */
const LEASE_MS = 30_000;
/** Slots among the queues that are acquired. */
const SLOTS = `${storedPlace({ slot: 0 }).topic}/`;

export const oneMember: CheckDefinition = {
  name: 'one-member',
  invariant:
    'Beside members that are Java’s, a queue has one member at a time, 45 s after one came, went or was disturbed.',
  create: ({ faultTimes, scheduler }) => {
    const last = new Map<string, { readonly isJava: boolean; readonly at: number }>();
    /** When members of ours came or went: not those that take over from one that is there, under its id. */
    const changes: number[] = [];
    const members = new Map<string, { readonly holder: string; readonly seenAt: number }>();
    const noteMember = (slot: string, holder: string): void => {
      const { now } = scheduler;
      const before = members.get(slot);
      if (before === undefined || now - before.seenAt > LEASE_MS) changes.push(now);
      members.set(slot, { holder, seenAt: now });
    };
    /** Its slot has no member before another one acquires it. */
    const noteEnd = (host: string): void => {
      for (const [slot, { holder }] of members)
        if (holder === host) {
          members.delete(slot);
          changes.push(scheduler.now);
        }
    };
    return {
      on(event) {
        if (
          (event.kind === 'acquired' || event.kind === 'renewed') &&
          event.queue.startsWith(SLOTS)
        )
          noteMember(event.queue, event.holder);
        if (event.kind === 'ended') noteEnd(event.host.name);
        if (event.kind !== 'delivery-started') return undefined;
        const [first] = event.deliveries;
        if (first === undefined) return undefined;
        const { now } = scheduler;
        const isJava = first.puller.name.startsWith(JAVA);
        const before = last.get(first.position.queue);
        last.set(first.position.queue, { isJava, at: now });
        if (before === undefined || before.isJava === isJava) return undefined;
        const disturbances = [...faultTimes, ...changes];
        if (disturbances.some((at) => at >= before.at - SETTLED_AFTER_MS)) return undefined;
        return `${first.puller.name} delivers messages of ${first.position.queue}, and ${now - before.at} ms ago another member did`;
      },
    };
  },
};
