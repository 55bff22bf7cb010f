import { afterUnknown } from '../decide/retry/after-search.ts';
import { DeadLetterSearch } from '../dlq/dead-letter-search.ts';
import type { SearchResult } from '../model/dead-letter-search.ts';
import type { Message } from '../model/message.ts';
import type { PendingEnd } from './pending-ends.ts';
import type { SendParts } from './send-back.ts';

/** A broker that stood still answers the first look before it has carried out what it had received before. */
const LOOK_AGAIN_MS = 2_000;

type SearchParts = Pick<
  SendParts,
  'client' | 'clock' | 'source' | 'queue' | 'lifecycle' | 'logger'
>;

/** What is known of a dead letter whose send had no answer. */
type Known =
  | { readonly kind: 'stored' }
  /** It is to be sent. */
  | { readonly kind: 'not-found'; readonly pending: PendingEnd }
  | {
      readonly kind: 'again';
      readonly failure: string;
      readonly afterMs: number;
      readonly pending: PendingEnd;
      readonly isTry: false;
    };

/** Looks for the dead letter of a message where one may be stored. The search goes on where the try before stopped. */
export async function searchDeadLetter(
  parts: SearchParts,
  sought: { readonly message: Message; readonly originMessageId: string },
  pending: PendingEnd,
): Promise<Known> {
  const { client, source, queue, logger } = parts;
  const { inDoubtSince } = pending;
  if (inDoubtSince === undefined) return { kind: 'not-found', pending };
  const { message } = sought;
  const since = Math.max(inDoubtSince, message.storeTimestamp);
  const { brokerName } = queue;
  const search =
    pending.search ??
    new DeadLetterSearch(client, source.consumerGroup, { ...sought, brokerName, since });
  const result = await lookTwice(parts, search);
  if (result.kind === 'found') return { kind: 'stored' };
  const settled = { ...pending, search, unknownLooks: 0 };
  if (result.kind === 'absent') return { kind: 'not-found', pending: settled };
  const unknownLooks = pending.unknownLooks + 1;
  const { reason, error } = result;
  const step = afterUnknown(reason, unknownLooks);
  logger.warn(
    {
      ...(error !== undefined && { err: error }),
      code: 'ROCKETMQ_DEAD_LETTER_UNKNOWN',
      offset: String(message.queueOffset),
      reason,
      looks: unknownLooks,
    },
    step.kind === 'send-again'
      ? 'not known whether an unanswered dead letter is stored, sending it again'
      : 'not known whether an unanswered dead letter is stored, looking again',
  );
  if (step.kind === 'send-again') return { kind: 'not-found', pending: settled };
  return {
    ...{ kind: 'again', failure: reason, afterMs: step.afterMs, isTry: false },
    pending: { ...pending, search, unknownLooks },
  };
}

async function lookTwice(
  { clock, lifecycle }: Pick<SearchParts, 'clock' | 'lifecycle'>,
  search: DeadLetterSearch,
): Promise<SearchResult> {
  const signal = lifecycle.signal('requests');
  const first = await search.look({ signal });
  if (first.kind !== 'absent' || lifecycle.isLost) return first;
  // The lease may be lost meanwhile: then nothing follows.
  await clock.sleep(LOOK_AGAIN_MS, signal).catch(() => {});
  return search.look({ signal });
}
