import type { QueueSession } from './queue-session.ts';

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
  if (isDue(session))
    await attempt(session, 'commit failed, the next one repeats it', () =>
      session.offsets.commit(),
    );
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
    if (!due && (session.offsets.resetPending || clock.now() - readAt < readEveryMs)) continue;
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
 * Goes on at an offset that a pull's answer dictates: everything pulled before is forgotten, in flight too, and the new offset is
 * stored before anything else is pulled. It may lie before the old one. Mirrors the OFFSET_ILLEGAL branch of DefaultMQPushConsumerImpl.
 */
export async function adoptOffset(
  session: QueueSession,
  offset: bigint,
  reset: boolean,
): Promise<void> {
  session.offsets.moved(offset, reset);
  await commitOffset(session);
}

/** Goes on at the stored offset if somebody else changed it. False: it could not be read. */
export function followStoredOffset(session: QueueSession): Promise<boolean> {
  return attempt(session, 'failed to read the stored offset', () => session.offsets.check());
}

/**
 * Resolves a pending reset from the stored offset, when the answer to the pull that was to report it
 * got lost: commits were dropped since, so the stored offset is the reset's.
 */
export async function followReset(session: QueueSession): Promise<void> {
  await attempt(session, 'failed to read the stored offset', () => session.offsets.resolveReset());
}

function isDue(session: QueueSession): boolean {
  return session.popped === undefined && session.offsets.isCommitDue && session.mayAct();
}

async function attempt(
  session: QueueSession,
  whenFailed: string,
  request: () => Promise<void>,
): Promise<boolean> {
  try {
    await request();
    return true;
  } catch (error) {
    if (session.lifecycle.isLost) return false;
    session.count('CommitErrorCount');
    session.logger.warn({ err: error, code: 'ROCKETMQ_COMMIT_FAILED' }, whenFailed);
    return false;
  }
}
