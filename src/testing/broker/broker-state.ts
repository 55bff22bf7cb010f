import type { GroupTable } from './group-table.ts';
import type { HeldPulls } from './held-pulls.ts';
import type { LockTable } from './lock-table.ts';
import type { MemberTable } from './member-table.ts';
import type { MessageStore } from './message-store.ts';
import type { OffsetTable } from './offset-table.ts';
import type { TopicTable } from './topic-table.ts';

/** Everything that a broker's handlers work on. */
export interface BrokerState {
  readonly cluster: string;
  readonly brokerName: string;
  readonly topics: TopicTable;
  readonly groups: GroupTable;
  readonly offsets: OffsetTable;
  readonly store: MessageStore;
  readonly locks: LockTable;
  readonly members: MemberTable;
  readonly held: HeldPulls;
  readonly createUniqKey: () => string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Since it was started last, ms. */
  readonly uptimeMs: () => number;
}
