import { offsetStory } from '../decide/offset/offset-story.ts';
import { ConnectionError } from '../errors.ts';
import { offsetStoreOf } from './offset-store.ts';
import type { QueueSession } from './queue-session.ts';

/** Within the safety margin of the lease, see decide/lease. */
const COMMIT_TIMEOUT_MS = 3_000;
/** Settling to commit takes at most a second: this, and the two requests. */
export const COMMIT_INTERVAL_MS = 800;
/** BROADCASTING writes offsets into the table, where each write is paid for. */
export const BROADCAST_COMMIT_INTERVAL_MS = 5_000;
/** The stored offset is read that many times less often while the queue has no messages here. */
const QUIET_INTERVALS = 6;
const LAST_TRIES = 3;
const LAST_TRIES_PAUSE_MS = 200;

/**
 * Brings the broker's offset up to what is settled. Only while the lease allows, only forward, never over an operator's reset.
 * Mirrors RemoteBrokerOffsetStore.persist, with an answer that is read.
 */
export async function commitOffset(session: QueueSession): Promise<void> {
  await session.inOffsetTurn(() => commit(session));
}

/**
 * Commits what is settled within a second, so that a killed puller repeats no more than what was in
 * flight and that second, until the loops have ended: also while they drain. With nothing to commit
 * it reads the stored offset: brokers report a reset only with the answer to a pull, which a quiet
 * queue's long poll holds back for up to 20 s.
 */
export async function keepOffset(session: QueueSession, loops: Promise<unknown>): Promise<void> {
  // The broker keeps account of what was popped.
  if (session.popped !== undefined) return;
  const { clock } = session.deps;
  const intervalMs = session.options.commitIntervalMs;
  const ended = new AbortController();
  const onEnd = (): void => ended.abort();
  const stopped = loops.then(onEnd, onEnd);
  let readAt = clock.now();
  while (!ended.signal.aborted) {
    await clock.sleep(intervalMs, ended.signal).catch(() => {});
    if (ended.signal.aborted || !session.mayAct()) continue;
    const due = isDue(session);
    // While nothing waits for its delivery here, a reset found later drops nothing but the poll.
    const readEveryMs = session.messages.count > 0 ? 0 : QUIET_INTERVALS * intervalMs;
    if (!due && (session.resetPending || clock.now() - readAt < readEveryMs)) continue;
    readAt = clock.now();
    await (due ? commitOffset(session) : followStoredOffset(session));
  }
  await stopped;
}

/** The last commit before the release: what it cannot store is delivered again. */
export async function commitFinally(session: QueueSession): Promise<void> {
  for (let tries = 1; ; tries++) {
    await commitOffset(session);
    if (!isDue(session) || tries === LAST_TRIES) return;
    await session.deps.clock.sleep(LAST_TRIES_PAUSE_MS);
  }
}

/**
 * Goes on at an offset that the broker or an operator dictates: everything pulled before is forgotten, in flight too, and the new offset is
 * stored before anything else is delivered. It may lie before the old one. Mirrors the OFFSET_ILLEGAL branch of DefaultMQPushConsumerImpl.
 */
export async function adoptOffset(session: QueueSession, offset: bigint): Promise<void> {
  session.adopt(offset);
  await session.inOffsetTurn(async () => {
    if (session.mayAct()) await store(session, session.messages.committable);
  });
}

function isDue(session: QueueSession): boolean {
  // The broker keeps account of what was popped.
  if (session.popped !== undefined) return false;
  const { messages, knownOffset, adoptedOffset } = session;
  return (
    !session.resetPending &&
    (adoptedOffset !== undefined || messages.committable > knownOffset) &&
    session.mayAct()
  );
}

async function commit(session: QueueSession): Promise<void> {
  if (!isDue(session)) return;
  await withOffset(session, 'a commit failed; the next one repeats it', async () => {
    if ((await review(session)) && isDue(session))
      await store(session, session.messages.committable);
  });
}

/** Goes on at the stored offset if somebody else changed it. False: it could not be read. */
export async function followStoredOffset(session: QueueSession): Promise<boolean> {
  let reviewed = false;
  await session.inOffsetTurn(() =>
    withOffset(session, 'the stored offset cannot be read; trying again', async () => {
      reviewed = await review(session);
    }),
  );
  return reviewed;
}

/**
 * Goes on where an operator's reset went to, when the pull that was to tell it did not: one before it, whose answer was lost, took the sign away.
 * The stored offset is the reset's, as commits were dropped since.
 */
export async function followReset(session: QueueSession): Promise<void> {
  await session.inOffsetTurn(() =>
    withOffset(session, 'the stored offset cannot be read; trying again', async () => {
      const stored = await offsetStoreOf(session.source).read(session, COMMIT_TIMEOUT_MS);
      if (!session.resetPending) return;
      const offset = stored ?? session.knownOffset;
      session.logger.warn(
        { offset: String(offset) },
        'the offset was reset by an operator, and no pull told it: going on at the stored one',
      );
      session.adopt(offset);
      session.knownOffset = offset;
    }),
  );
}

async function withOffset(
  session: QueueSession,
  whenFailed: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (session.lost.signal.aborted) return;
    if (error instanceof ConnectionError) session.connectionBroke = true;
    session.count('CommitErrorCount');
    session.logger.warn({ err: error }, whenFailed);
  }
}

/** Compares the stored offset with what is known of it. False: messages were dropped for another offset while the query was under way. */
async function review(session: QueueSession): Promise<boolean> {
  const { messages, source } = session;
  const { generation } = messages;
  const brokeBefore = session.connectionBroke;
  const stored = await offsetStoreOf(source).read(session, COMMIT_TIMEOUT_MS);
  if (messages.generation !== generation) return false;
  const { knownOffset, sentOffset, connectionBroke } = session;
  const story = offsetStory(stored, { known: knownOffset, sent: sentOffset, connectionBroke });
  switch (story.kind) {
    case 'as-known':
      // The broker came back with what it had: from now on a lower offset is somebody's wish.
      if (brokeBefore) session.connectionBroke = false;
      break;
    case 'arrived':
      session.knownOffset = story.offset;
      break;
    case 'lost-commits':
      session.logger.warn(
        figures(knownOffset, stored),
        'the broker lost commits: committing again',
      );
      // Also when nothing was settled since.
      session.adoptedOffset ??= messages.committable;
      break;
    case 'reset':
      session.logger.warn(
        figures(knownOffset, stored),
        'the stored offset was changed by somebody else: adopting it',
      );
      session.adopt(story.offset);
      session.knownOffset = story.offset;
      break;
  }
  return true;
}

async function store(session: QueueSession, offset: bigint): Promise<void> {
  const { source, messages } = session;
  const { generation } = messages;
  session.sentOffset = offset;
  const { resetPending } = await offsetStoreOf(source).write(session, offset, COMMIT_TIMEOUT_MS);
  if (resetPending) {
    session.logger.warn(
      { offset: String(offset) },
      'an operator reset the offset: pulling to learn where to',
    );
    session.sentOffset = undefined;
    session.resetPending = true;
    session.interruptPull();
    return;
  }
  if (offset > session.knownOffset) {
    session.count('CommittedEventCount', Number(offset - session.knownOffset));
    session.progressAt = session.deps.clock.now();
  }
  session.knownOffset = offset;
  session.sentOffset = undefined;
  session.connectionBroke = false;
  if (messages.generation === generation) session.adoptedOffset = undefined;
}

function figures(
  known: bigint,
  stored: bigint | undefined,
): { known: string; stored: string | undefined } {
  return { known: String(known), stored: stored === undefined ? undefined : String(stored) };
}
