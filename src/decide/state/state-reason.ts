import type { Assignment } from '../../model/assignment.ts';
import { FOREIGN_SLOT } from '../../model/membership.ts';

/** Why a queue is not consumed. Lambda's names for event source mappings where it has one. */
export const STATE_REASONS = [
  'PAUSED_BY_OPERATOR',
  'PAUSED_BY_CHECK',
  'DISABLED',
  'TOPIC_NOT_FOUND',
  'BROKER_UNREACHABLE',
  'ADDRESS_REFUSED',
  'ROUTE_REFUSED',
  'EVENT_SOURCE_AUTHN_ERROR',
  'EVENT_SOURCE_AUTHZ_ERROR',
  'SUBSCRIPTION_CONFLICT',
  'FOREIGN_MEMBERS',
  'ESM_CONFIG_NOT_VALID',
  'GROUP_NOT_FOUND',
  'HELD_BY_ANOTHER_MEMBER',
  'CRASHING',
  'UNKNOWN_ERROR',
] as const;
export type StateReason = (typeof STATE_REASONS)[number];

const BY_CODE: Readonly<Record<string, StateReason>> = {
  ROCKETMQ_TOPIC_NOT_FOUND: 'TOPIC_NOT_FOUND',
  ROCKETMQ_CONNECTION: 'BROKER_UNREACHABLE',
  ROCKETMQ_REQUEST_TIMEOUT: 'BROKER_UNREACHABLE',
  ROCKETMQ_PEER_FLOOD: 'BROKER_UNREACHABLE',
  ROCKETMQ_ADDRESS_REFUSED: 'ADDRESS_REFUSED',
  ROCKETMQ_ROUTE_REFUSED: 'ROUTE_REFUSED',
  ROCKETMQ_STATIC_TOPIC: 'ESM_CONFIG_NOT_VALID',
  ROCKETMQ_GROUP_NOT_FOUND: 'GROUP_NOT_FOUND',
  ROCKETMQ_INVALID_FILTER: 'ESM_CONFIG_NOT_VALID',
  ROCKETMQ_CONFIG: 'ESM_CONFIG_NOT_VALID',
  ROCKETMQ_EARLIER_ITEMS: 'ESM_CONFIG_NOT_VALID',
  ROCKETMQ_FOREIGN_MEMBERS: 'FOREIGN_MEMBERS',
  ROCKETMQ_UNEQUAL_SUBSCRIPTIONS: 'SUBSCRIPTION_CONFLICT',
};

/** How brokers say that they do not believe who asks (ACL 1.0, ACL 2.0); all else about permissions is about rights. */
const AUTHENTICATION =
  /signature|no access ?key|access ?key .*(?:null|empty|blank)|authenticat|user[^.]*(?:not (?:found|exist)|disable)/i;
/** What our own errors add: it names keys whatever is wrong. */
const ADVICE = '. Check accessKey';

/** What an error means for a queue. `code` is a stable one of errors.ts. */
export function reasonOfError({
  code,
  message,
}: {
  readonly code: string;
  readonly message: string;
}): StateReason {
  if (code === 'ROCKETMQ_PERMISSION')
    return AUTHENTICATION.test(message.split(ADVICE)[0] ?? '')
      ? 'EVENT_SOURCE_AUTHN_ERROR'
      : 'EVENT_SOURCE_AUTHZ_ERROR';
  return BY_CODE[code] ?? 'UNKNOWN_ERROR';
}

/** What the table itself tells; undefined: nothing stands in the way of the queue. Checks that failed are the caller's to add. */
export function reasonOfAssignment(
  assignment: Assignment,
  enabled: boolean,
  now: number,
): StateReason | undefined {
  const { operatorPause, pausedUntil = 0, crash, slot } = assignment;
  if (operatorPause !== undefined && operatorPause.until > now) return 'PAUSED_BY_OPERATOR';
  if (!enabled) return 'DISABLED';
  if (pausedUntil > now) return 'PAUSED_BY_CHECK';
  if (slot === FOREIGN_SLOT) return 'HELD_BY_ANOTHER_MEMBER';
  return crash !== undefined && crash.count > 1 ? 'CRASHING' : undefined;
}
