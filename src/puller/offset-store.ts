import { leaseUntil } from '../decide/lease/lease.ts';
import type { CallOptions } from '../ports/rocketmq.ts';
import type { OffsetStore } from '../queue/offset-keeper.ts';
import type { QueueSession } from './queue-session.ts';

/** Within the safety margin of the lease, see decide/lease. */
const COMMIT_TIMEOUT_MS = 3_000;

export function offsetStoreOf(session: QueueSession): OffsetStore {
  return session.source.messageModel === 'BROADCASTING'
    ? tableOffsets(session)
    : brokerOffsets(session);
}

/** CLUSTERING: the members of a group share its offsets at the brokers (RemoteBrokerOffsetStore). */
function brokerOffsets({ deps, source, queue, lifecycle }: QueueSession): OffsetStore {
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
function tableOffsets(session: QueueSession): OffsetStore {
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
