import { BROADCAST, ORDERED, UNORDERED } from '../decide/settle/settlement-rules.ts';
import type { SourceConfig } from '../model/source.ts';
import type { SettlementMode } from './settlement.ts';

const GIVEN_UP = {
  level: 'warn',
  code: 'ROCKETMQ_DROPPED',
  message: 'message dropped by its handler, it counts as done',
} as const;

const DROPPED = {
  level: 'error',
  code: 'ROCKETMQ_BROADCAST_DROPPED',
  message: 'message failed and dropped, broadcasting has no retry',
} as const;

/**
 * The modes of settlement. Unordered sources and mode pop have the same rules, and differ in how ends
 * reach the broker (pulled-ends, popped-ends). So do both orders, which differ in their lanes (lane-of).
 */
const MODES = {
  unordered: { rules: UNORDERED, drop: GIVEN_UP, isOrdered: false },
  ordered: { rules: ORDERED, drop: GIVEN_UP, isOrdered: true },
  broadcasting: { rules: BROADCAST, drop: DROPPED, isOrdered: false },
} as const satisfies Record<string, SettlementMode>;

/** The mode of a source. The options keep order, mode pop and BROADCASTING apart. */
export function settlementModeOf({
  messageModel,
  subscriptions,
}: Pick<SourceConfig, 'messageModel' | 'subscriptions'>): SettlementMode {
  if (messageModel === 'BROADCASTING') return MODES.broadcasting;
  return subscriptions.some(({ order }) => order !== undefined) ? MODES.ordered : MODES.unordered;
}
