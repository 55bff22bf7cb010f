import { leaseUntil } from '../decide/lease/lease.ts';
import type { Lease } from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { CallOptions } from '../ports/rocketmq.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OffsetStore } from '../queue/offset-keeper.ts';
import type { PullerDeps } from './puller-deps.ts';

/** Within the safety margin of the lease, see decide/lease. */
const COMMIT_TIMEOUT_MS = 3_000;

/** The queue whose offset is stored. */
interface StoredQueue {
  readonly deps: Pick<PullerDeps, 'client' | 'store' | 'clock'>;
  readonly source: SourceConfig;
  readonly queue: MessageQueue;
  readonly lease: Lease;
  readonly lifecycle: Pick<LifecycleKeeper, 'signal'>;
  /** The last offset that was confirmed. */
  readonly knownOffset: bigint;
  loseLease(why: string, takenOver: boolean): void;
}

export function offsetStoreOf(session: StoredQueue): OffsetStore {
  return session.source.messageModel === 'BROADCASTING'
    ? tableOffsets(session)
    : brokerOffsets(session);
}

/** CLUSTERING: the members of a group share its offsets at the brokers (RemoteBrokerOffsetStore). */
function brokerOffsets({ deps, source, queue, lifecycle }: StoredQueue): OffsetStore {
  const call = (options: CallOptions): CallOptions => ({
    signal: lifecycle.signal('requests'),
    timeoutMs: COMMIT_TIMEOUT_MS,
    ...options,
  });
  return {
    read: (options) => deps.client.queryOffset(source.consumerGroup, queue, call(options)),
    write: (offset, options) =>
      deps.client.commitOffset(source.consumerGroup, queue, offset, call(options)),
  };
}

/**
 * BROADCASTING: every deployment has offsets of its own, in the assignments of its table (LocalFileOffsetStore's place). The lease is the fence:
 * nobody else writes them, so the last one written is the stored one.
 */
function tableOffsets(session: StoredQueue): OffsetStore {
  return {
    read: async () => session.knownOffset,
    async write(offset) {
      const { deps, source, queue, lease } = session;
      const answer = await deps.store.renew({
        cluster: source.cluster,
        consumerGroup: source.consumerGroup,
        queue,
        holder: lease.holder,
        fence: lease.fence,
        // The session goes on with the end that it knows, which is never the later one.
        leaseUntil: leaseUntil(deps.clock.now(), lease.endsAt),
        committedOffset: offset,
      });
      if (answer.applied) return { resetPending: false };
      session.loseLease(answer.reason, true);
      throw new Error(`lease lost: ${answer.reason}`);
    },
  };
}
