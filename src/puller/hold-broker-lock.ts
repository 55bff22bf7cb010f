import { type SourceConfig, slotClientId } from '../model/source.ts';
import type { BrokerLocks } from './broker-locks.ts';
import { followStoredOffset } from './commit-offset.ts';
import type { QueueOrder } from './queue-order.ts';
import type { QueueSession } from './queue-session.ts';

/** How often the lock is looked at, and how often its absence is told. */
const LOOK_MS = 500;
const TELL_AGAIN_MS = 30_000;
const READ_AGAIN_MS = 1_000;

/**
 * Does a queue of the source need the broker's lock? Only where the whole queue is one lane, as Java's orderly consumers know it: theirs and ours
 * keep each other out with it. Lanes by key are nobody else's notion; between our own pullers the lease keeps the order.
 */
export function needsBrokerLock({ subscriptions }: SourceConfig): boolean {
  return subscriptions.some(({ order }) => order?.by === 'queue');
}

/** The name that brokers know the holder of a queue by. */
export function lockOwner({ deps, source, lease }: QueueSession): string {
  return slotClientId(deps.service.service, deps.service.stage, source.consumerGroup, lease.slot);
}

/**
 * Opens the queue when the lock is ours, and closes it when it is not: until the session ends. After each time that the lock came to us the stored
 * offset is read again, because whoever had it may have gone on. Mirrors ConsumeMessageOrderlyService and the lock's part of DefaultMQPushConsumerImpl.
 */
export async function holdBrokerLock(
  session: QueueSession,
  order: QueueOrder,
  locks: BrokerLocks,
): Promise<void> {
  const { clock } = session.deps;
  const lock = locks.hold(session.queue, () => session.wakeup.all());
  order.lock = lock;
  let heldAt = clock.now();
  let toldAt = Number.NEGATIVE_INFINITY;
  while (session.ending === undefined) {
    const now = clock.now();
    const { validUntil, term, elsewhere } = lock.state;
    if (now >= validUntil) {
      // Not idle: it has not been allowed to look for messages.
      session.lastMessageAt = now;
      if (elsewhere && now - toldAt >= TELL_AGAIN_MS) {
        toldAt = now;
        session.logger.warn(
          {
            code: 'ROCKETMQ_LOCKED_ELSEWHERE',
            clientId: lockOwner(session),
            waitedMs: now - heldAt,
          },
          'another consumer of the group has locked the queue at its broker: waiting until it unlocks, or has been gone for 60 s',
        );
      }
      if (now - heldAt >= session.options.lockWaitMs) return session.end('locked-elsewhere');
    } else {
      if (term !== order.readTerm) {
        if (await followStoredOffset(session)) {
          order.readTerm = term;
          session.logger.info(
            { waitedMs: now - heldAt },
            'the queue is locked at its broker for this slot',
          );
          session.wakeup.all();
        } else await session.pause(READ_AGAIN_MS);
      }
      heldAt = clock.now();
    }
    await session.wakeup.wait(LOOK_MS);
  }
}

/** Resolves when messages may be pulled: what was pulled before the lock could be somebody else's by then. */
export async function untilOpen(session: QueueSession): Promise<void> {
  while (
    session.ending === undefined &&
    session.order?.lock !== undefined &&
    session.order.readTerm === 0
  )
    await session.wakeup.wait(LOOK_MS);
}

/** The lock's end: given back when the queue goes to somebody else, else left to the slot's next puller, or to run out. Before the lease is released. */
export async function leaveBrokerLock(session: QueueSession): Promise<void> {
  const lock = session.order?.lock;
  if (lock === undefined) return;
  // Without the lease, somebody of the same name may hold it by now.
  if (session.stopPolicy?.unlockQueue !== true || lock.state.term === 0 || !session.mayAct())
    return lock.drop();
  try {
    await lock.unlock();
  } catch (error) {
    session.logger.warn(
      { err: error },
      'the queue could not be unlocked at its broker: the lock runs out within 60 s',
    );
  }
}
