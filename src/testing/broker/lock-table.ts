import type { MessageQueue } from '../../model/message-queue.ts';
import { queueKey } from '../../model/message-queue.ts';

/** Queue locks of orderly groups: (group, queue) → client id, gone when not renewed. Mirrors RebalanceLockManager. */
export interface LockTable {
  /** Answers the queues that the client holds now; others are simply missing. */
  lock(
    group: string,
    clientId: string,
    queues: readonly MessageQueue[],
    now: number,
  ): MessageQueue[];
  /** Another client's lock is left alone. */
  unlock(group: string, clientId: string, queues: readonly MessageQueue[]): void;
  /** True while any queue of the group is locked: sends to its retry topic then go to the DLQ. */
  anyAlive(group: string, now: number): boolean;
  clear(): void;
}

export function createLockTable(maxLiveMs: number): LockTable {
  const groups = new Map<string, Map<string, { clientId: string; renewedAt: number }>>();

  return {
    lock(group, clientId, queues, now) {
      const locks = groups.get(group) ?? new Map<string, { clientId: string; renewedAt: number }>();
      groups.set(group, locks);
      return queues.filter((queue) => {
        const held = locks.get(queueKey(queue));
        if (held && held.clientId !== clientId && now - held.renewedAt <= maxLiveMs) return false;
        locks.set(queueKey(queue), { clientId, renewedAt: now });
        return true;
      });
    },
    unlock(group, clientId, queues) {
      const locks = groups.get(group);
      for (const queue of queues)
        if (locks?.get(queueKey(queue))?.clientId === clientId) locks.delete(queueKey(queue));
    },
    anyAlive: (group, now) =>
      [...(groups.get(group)?.values() ?? [])].some((held) => now - held.renewedAt <= maxLiveMs),
    clear: () => groups.clear(),
  };
}
