import { leaseUntil } from '../decide/lease/lease.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { CallOptions } from '../ports/rocketmq.ts';
import { brokerStartedAt } from '../queue/broker-start.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OffsetStore } from '../queue/offset-keeper.ts';
import type { HeldLease } from './held-lease.ts';
import type { PullerDeps } from './puller-deps.ts';

/** Within the safety margin of the lease, see decide/lease. */
export const COMMIT_TIMEOUT_MS = 3_000;

/** The queue whose offset is stored. */
interface StoredQueue extends Pick<PullerDeps, 'client' | 'store' | 'clock'> {
  readonly source: SourceConfig;
  readonly queue: MessageQueue;
  readonly lease: Pick<HeldLease, 'current' | 'lose'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'signal'>;
  /** The last offset that was confirmed. */
  readonly committedOffset: () => bigint;
}

export function offsetStoreOf(stored: StoredQueue): OffsetStore {
  return stored.source.messageModel === 'BROADCASTING'
    ? tableOffsets(stored)
    : brokerOffsets(stored);
}

/** CLUSTERING: the members of a group share its offsets at the brokers (RemoteBrokerOffsetStore). */
function brokerOffsets({ client, clock, source, queue, lifecycle }: StoredQueue): OffsetStore {
  const call = (options: CallOptions): CallOptions => ({
    signal: lifecycle.signal('requests'),
    timeoutMs: COMMIT_TIMEOUT_MS,
    ...options,
  });
  return {
    read: (options) => client.queryOffset(source.consumerGroup, queue, call(options)),
    write: (offset, options) =>
      client.commitOffset(source.consumerGroup, queue, offset, call(options)),
    startedAt: (options) =>
      brokerStartedAt(client, clock, queue.brokerName, {
        signal: lifecycle.signal('requests'),
        ...options,
      }),
  };
}

/**
 * BROADCASTING: every deployment has offsets of its own, in the assignments of its table (LocalFileOffsetStore's place). The lease is the fence:
 * nobody else writes them, so the last one written is the stored one.
 */
function tableOffsets({
  store,
  clock,
  source,
  queue,
  lease,
  committedOffset,
}: StoredQueue): OffsetStore {
  return {
    read: async () => committedOffset(),
    async write(offset) {
      const { holder, fence, endsAt } = lease.current;
      const answer = await store.renew({
        cluster: source.cluster,
        consumerGroup: source.consumerGroup,
        queue,
        holder,
        fence,
        // The holder goes on with the end that it knows, which is never the later one.
        leaseUntil: leaseUntil(clock.now(), endsAt),
        committedOffset: offset,
      });
      if (answer.applied) {
        // A later renewal of this holder was written first, with the offset of before.
        if (answer.assignment.committedOffset !== offset)
          throw new Error('commit overtaken by a renewal');
        return { resetPending: false };
      }
      lease.lose(answer.reason, true);
      throw new Error(`lease lost: ${answer.reason}`);
    },
  };
}
