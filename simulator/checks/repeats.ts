import type { Host } from '../kernel/scheduler.ts';
import { type Plan, recreatesTopics, sharesGroup } from '../plan.ts';
import { type Disturbance, delayedMs } from '../world/disturbance.ts';
import type { Delivery, Position, QueueName } from '../world/events.ts';
import type { CheckDefinition } from './check.ts';

/** Commits are at most this old when nothing goes wrong. BROADCASTING writes them into the table, every 5 s. */
const COMMIT_AGE_MS = 1_000;
const BROADCAST_COMMIT_AGE_MS = 5_500;
/** Of programs: a commit waits for the message in hand. */
const PROGRAM_COMMIT_AGE_MS = 1_500;
/** After a fault: requests that time out, connections that are opened again, a call that waited. */
const RECOVERY_MS = 10_000;

export const repeats: CheckDefinition = {
  name: 'repeats',
  invariant:
    'A message that was handled is delivered again only when a fault of its holder or its broker hit between the delivery and the commit.',
  create: ({ plan, ledger, scheduler, disturbances, delays }) => {
    if (recreatesTopics(plan) || sharesGroup(plan)) return {};
    const isPop = plan.source.mode === 'pop';
    const commitAgeMs = commitAgeOf(plan);
    /** What the item had when the queue's holder acquired it. */
    const knownToHolder = new Map<QueueName, bigint>();
    const acquisitions: {
      readonly queue: QueueName;
      readonly holder: string;
      readonly at: number;
    }[] = [];
    /** Had its holder lost the queue before everything in front was finished? */
    const wasAhead = ({ position, puller, startedAt }: Delivery, committable: number): boolean => {
      const next = acquisitions.find(
        ({ queue, holder, at }) =>
          queue === position.queue && holder !== puller.name && at >= startedAt,
      );
      return next !== undefined && next.at < committable;
    };
    /** Operators want what lies behind to be delivered again. */
    const moves: { readonly queue: QueueName; readonly to: bigint; readonly at: number }[] = [];
    const wasMovedBack = ({ queue, offset }: Position, since: number): boolean =>
      moves.some((move) => move.queue === queue && move.to <= offset && move.at >= since);

    const isDisturbed = (by: Disturbance, position: Position, holder: Host): boolean => {
      switch (by.of.kind) {
        case 'everything':
          return true;
        case 'process':
          return by.of.host === holder;
        case 'message':
          return by.of.key === position.key;
        case 'broker':
          return by.of.name === brokerOf(position);
      }
    };
    /** What brokers that were killed went back to. */
    const forgotten: { readonly queue: QueueName; readonly to: bigint; readonly at: number }[] = [];
    const isKilled = (queue: QueueName): boolean =>
      disturbances.some(
        ({ of, from }) =>
          of.kind === 'broker' &&
          of.forgets &&
          of.name === brokerOf({ queue }) &&
          from === scheduler.now,
      );
    /** Was its commit lost by its broker, and not in the item either? */
    const isForgotten = ({ position }: Delivery, since: number): boolean => {
      const wasForgotten = forgotten.some(
        ({ queue, to, at }) => queue === position.queue && to <= position.offset && at >= since,
      );
      // With `coexist` others commit, too: the item's offsets do not count.
      const isInItem = position.offset < (knownToHolder.get(position.queue) ?? 0n);
      return wasForgotten && (plan.source.coexist === true || !isInItem);
    };
    /** A member beside Java's that lost its queues acquires them again in the same process. */
    const wasAcquiredSince = ({ position, puller }: Delivery, before: Delivery): boolean =>
      puller !== before.puller ||
      acquisitions.some(({ queue, at }) => queue === position.queue && at >= before.startedAt);
    const isExplained = (delivery: Delivery, before: Delivery, since: number): boolean =>
      // A holder that is still there commits again what its broker forgot.
      (!isPop && wasAcquiredSince(delivery, before) && isForgotten(delivery, since)) ||
      disturbances.some(
        (by) =>
          isDisturbed(by, delivery.position, before.puller) &&
          by.until >= before.startedAt - RECOVERY_MS &&
          // A holder cannot commit what it has no answer for, nor before its requests arrive.
          by.from - delayedMs(delays, before.puller, { from: since, until: by.from }) <=
            since + commitAgeMs,
      );
    return {
      on(event) {
        if (event.kind === 'acquired') {
          knownToHolder.set(event.queue, ledger.inTable.get(event.queue) ?? 0n);
          acquisitions.push({ ...event, at: scheduler.now });
        }
        if (event.kind === 'committed' && isKilled(event.queue))
          forgotten.push({ queue: event.queue, to: event.offset, at: scheduler.now });
        if (event.kind === 'skipped') moves.push({ ...event, at: scheduler.now });
        if (event.kind !== 'delivery-started') return undefined;
        for (const delivery of event.deliveries) {
          const { position } = delivery;
          const before = isPop
            ? ledger
                .story(position.number)
                .positions.flatMap(({ deliveries }) => deliveries)
                .filter((one) => one !== delivery)
                .reduce<Delivery | undefined>(later, undefined)
            : position.deliveries.at(-2);
          if (before?.endedAt === undefined || before.position.doneAt === undefined) continue;
          // Done ahead of an unfinished one, it comes again whenever its queue changes hands.
          const committable = isPop ? before.endedAt : ledger.committableSince(position);
          if (committable === undefined || !isHandled(before)) continue;
          const since = Math.max(committable, before.endedAt);
          if (wasMovedBack(position, before.startedAt) || wasAhead(before, committable)) continue;
          if (isExplained(delivery, before, since)) continue;
          return `message ${position.number} at ${position.key} was handled ${scheduler.now - before.endedAt} ms ago by ${before.puller.name} and is delivered again without a fault`;
        }
        return undefined;
      },
    };
  },
};

function commitAgeOf({ programs, source }: Plan): number {
  if (programs !== undefined) return PROGRAM_COMMIT_AGE_MS;
  return source.messageModel === 'BROADCASTING' ? BROADCAST_COMMIT_AGE_MS : COMMIT_AGE_MS;
}

/** An earlier delivery may have handled a message that this one did not reach. */
function isHandled({ outcome, isBehindFailure }: Delivery): boolean {
  return outcome === 'ok' && !isBehindFailure;
}

function brokerOf({ queue }: Pick<Position, 'queue'>): string | undefined {
  return queue.split('/')[1];
}

function later(a: Delivery | undefined, b: Delivery): Delivery {
  return a === undefined || b.startedAt > a.startedAt ? b : a;
}
