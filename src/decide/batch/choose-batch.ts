import { smaller } from './batch-limits.ts';

/** A batch that is being put together from the messages of one queue, in the order in which they may be taken. */
export interface Draft {
  readonly count: number;
  /** Of the event of its first message; undefined: it has none yet. */
  readonly batchSize: number | undefined;
  /** The least that batches which failed before allow its messages (decide/batch/batch-limits); undefined: none failed. */
  readonly maxMessages: number | undefined;
  /** Its one message is delivered alone (decide/crash). */
  readonly isAlone: boolean;
}

export const EMPTY_DRAFT: Draft = {
  count: 0,
  batchSize: undefined,
  maxMessages: undefined,
  isAlone: false,
};

/** What is known of a message before it is opened. */
export interface Candidate {
  /** Most messages in a batch with it; undefined: as many as in any. */
  readonly maxMessages: number | undefined;
  /** False: it was popped, and its time is over. */
  readonly isOurs: boolean;
  readonly isolation: 'batch' | 'alone' | 'send-back';
}

/** What comes of reading a message for the event of the draft. */
export type Reading =
  /** @param batchSize of its event */
  | { readonly kind: 'added'; readonly batchSize: number }
  /** No pattern of its event matches. */
  | { readonly kind: 'filtered-out' }
  /** It belongs into another event, or there is no memory for it now. */
  | { readonly kind: 'of-another' }
  /** Its handler cannot be called now, and others wait behind it. */
  | { readonly kind: 'set-aside' }
  /** No handler can have it. */
  | { readonly kind: 'unhandled' };

/**
 * - read: open the message and try to add it;
 * - forget: it is not ours any more;
 * - stop: the batch is complete without it.
 */
export type BeforeReading = 'read' | 'forget' | 'stop';

/**
 * - add: it is in the batch; - filter: it is done without its handler;
 * - set-aside: it goes to the end of the retry topic, and the next one may be in the batch;
 * - unhandled: it is what the deliverer does next, without a batch;
 * - stop: it stays where it is, and the batch is complete.
 */
export type AfterReading = 'add' | 'filter' | 'set-aside' | 'unhandled' | 'stop';

export interface DraftStep<Next> {
  readonly draft: Draft;
  readonly next: Next;
}

/** Does the batch take no further message, whatever comes? Before its first one it takes one. */
export function isComplete({ count, batchSize = 1, isAlone }: Draft): boolean {
  return isAlone || count >= batchSize;
}

/** @param taken messages of the queue that are with a handler now, those of the draft included */
export function considerCandidate(
  draft: Draft,
  { maxMessages, isOurs, isolation }: Candidate,
  taken: number,
): DraftStep<BeforeReading> {
  const least = smaller(draft.maxMessages, maxMessages);
  const next = least === draft.maxMessages ? draft : { ...draft, maxMessages: least };
  if (next.maxMessages !== undefined && next.count >= next.maxMessages)
    return { draft: next, next: 'stop' };
  if (!isOurs) return { draft: next, next: 'forget' };
  // A message that is delivered alone has the queue to itself, so that a death can only be its own.
  if (isolation !== 'batch' && taken > 0) return { draft: next, next: 'stop' };
  return { draft: next, next: 'read' };
}

export function placeMessage(
  draft: Draft,
  reading: Reading,
  { isolation }: Pick<Candidate, 'isolation'>,
): DraftStep<AfterReading> {
  switch (reading.kind) {
    case 'of-another':
      return { draft, next: 'stop' };
    case 'filtered-out':
      return { draft, next: 'filter' };
    case 'set-aside':
      return { draft, next: 'set-aside' };
    case 'unhandled':
      return { draft, next: draft.count > 0 ? 'stop' : 'unhandled' };
    case 'added':
      return {
        draft: {
          ...draft,
          count: draft.count + 1,
          batchSize: draft.batchSize ?? reading.batchSize,
          isAlone: isolation === 'alone',
        },
        next: 'add',
      };
  }
}
