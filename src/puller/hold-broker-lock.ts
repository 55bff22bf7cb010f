import type { MessageQueue } from '../model/message-queue.ts';
import { type SourceConfig, slotClientId } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { stopPolicy } from '../queue/stop-reasons.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import type { BrokerLocks } from './broker-locks.ts';
import type { Commits } from './commit-offset.ts';
import type { HeldLease } from './held-lease.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import type { QueueActivity } from './queue-activity.ts';
import type { QueueOrder } from './queue-order.ts';
import { pause } from './time-left.ts';

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

interface LockParts extends Pick<PullerDeps, 'service'> {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly options: Pick<PullerOptions, 'lockWaitMs'>;
  readonly source: SourceConfig;
  readonly queue: MessageQueue;
  readonly lease: Pick<HeldLease, 'current'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending' | 'signal' | 'stop'>;
  readonly wakeup: Wakeup;
  readonly activity: Pick<QueueActivity, 'touch'>;
  readonly commits: Pick<Commits, 'followStored'>;
}

/** The name that brokers know the holder of a queue by. */
function lockOwner({ service, source, lease }: LockParts): string {
  const { slot } = lease.current;
  return slotClientId(service.service, service.stage, source.consumerGroup, slot);
}

/**
 * Opens the queue when the lock is ours, and closes it when it is not, until the queue drains. After each time that the lock came to us the stored
 * offset is read again, because whoever had it may have gone on. Mirrors ConsumeMessageOrderlyService and the lock's part of DefaultMQPushConsumerImpl.
 */
export async function holdBrokerLock(
  parts: LockParts,
  order: QueueOrder,
  locks: BrokerLocks,
): Promise<void> {
  const { clock, queue, wakeup, lifecycle, activity, options } = parts;
  const lock = locks.hold(queue, () => wakeup.all());
  order.lockWith(lock);
  let heldAt = clock.now();
  let reportedAt = Number.NEGATIVE_INFINITY;
  while (lifecycle.ending === undefined) {
    const now = clock.now();
    const waitedMs = now - heldAt;
    const { validUntil, term, elsewhere } = lock.state;
    if (now < validUntil) {
      if (!order.isRead(term)) await readUnder(parts, order, term, waitedMs);
      heldAt = clock.now();
    } else {
      // Not idle: it has not been allowed to look for messages.
      activity.touch();
      if (elsewhere && now - reportedAt >= TELL_AGAIN_MS) {
        reportedAt = now;
        reportLockedElsewhere(parts, waitedMs);
      }
      if (waitedMs >= options.lockWaitMs) return lifecycle.stop('locked-elsewhere');
    }
    await wakeup.wait(LOOK_MS);
  }
}

async function readUnder(
  parts: LockParts,
  order: QueueOrder,
  term: number,
  waitedMs: number,
): Promise<void> {
  if (!(await parts.commits.followStored())) return pause(parts, READ_AGAIN_MS);
  order.readIn(term);
  parts.logger.info({ waitedMs }, 'the queue is locked at its broker for this slot');
  parts.wakeup.all();
}

function reportLockedElsewhere(parts: LockParts, waitedMs: number): void {
  parts.logger.warn(
    { code: 'ROCKETMQ_LOCKED_ELSEWHERE', clientId: lockOwner(parts), waitedMs },
    'another consumer of the group has locked the queue at its broker: waiting until it unlocks, or has been gone for 60 s',
  );
}

/** Resolves when messages may be pulled: what was pulled before the lock could be somebody else's by then. */
export async function untilOpen(
  { lifecycle, wakeup }: Pick<LockParts, 'lifecycle' | 'wakeup'>,
  order: Pick<QueueOrder, 'waitsForLock'>,
): Promise<void> {
  while (lifecycle.ending === undefined && order.waitsForLock) await wakeup.wait(LOOK_MS);
}

interface UnlockParts {
  readonly logger: Logger;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending'>;
}

/** The lock's end: given back when the queue goes to somebody else, else left to the slot's next puller, or to run out. Before the lease is released. */
export async function leaveBrokerLock(
  { lease, lifecycle, logger }: UnlockParts,
  { lock }: Pick<QueueOrder, 'lock'>,
): Promise<void> {
  if (lock === undefined) return;
  const { ending } = lifecycle;
  const unlocks = ending !== undefined && stopPolicy(ending).unlockQueue;
  // Without the lease, somebody of the same name may hold it by now.
  if (!unlocks || lock.state.term === 0 || !lease.mayAct()) return lock.drop();
  try {
    await lock.unlock();
  } catch (error) {
    logger.warn(
      { err: error },
      'the queue could not be unlocked at its broker: the lock runs out within 60 s',
    );
  }
}
