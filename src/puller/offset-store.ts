import { leaseUntil } from '../decide/lease/lease.ts';
import type { SourceConfig } from '../model/source.ts';
import type { QueueSession } from './queue-session.ts';

/** Where the offset of a queue is kept. Mirrors OffsetStore. */
export interface OffsetStore {
  /** undefined: the group has none. */
  read(session: QueueSession, timeoutMs: number): Promise<bigint | undefined>;
  /** `resetPending`: it was not stored, because an operator's reset waits for the next pull. */
  write(
    session: QueueSession,
    offset: bigint,
    timeoutMs: number,
  ): Promise<{ readonly resetPending: boolean }>;
}

/** CLUSTERING: the members of a group share its offsets at the brokers (RemoteBrokerOffsetStore). */
const brokerOffsets: OffsetStore = {
  read: ({ deps, source, queue, lost }, timeoutMs) =>
    deps.client.queryOffset(source.consumerGroup, queue, { signal: lost.signal, timeoutMs }),
  write: ({ deps, source, queue, lost }, offset, timeoutMs) =>
    deps.client.commitOffset(source.consumerGroup, queue, offset, {
      signal: lost.signal,
      timeoutMs,
    }),
};

/**
 * BROADCASTING: every deployment has offsets of its own, in the assignments of its table (LocalFileOffsetStore's place). The lease is the fence:
 * nobody else writes them, so the last one written is the stored one.
 */
const tableOffsets: OffsetStore = {
  read: async ({ knownOffset }) => knownOffset,
  async write(session, offset) {
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
    throw new Error(`the lease is lost: ${answer.reason}`);
  },
};

export function offsetStoreOf({ messageModel }: SourceConfig): OffsetStore {
  return messageModel === 'BROADCASTING' ? tableOffsets : brokerOffsets;
}
