import { isAnotherLife } from '../decide/offset/queue-life.ts';
import { startOffset } from '../decide/offset/start-offset.ts';
import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { Logger } from '../ports/logger.ts';
import type { PullResult } from '../ports/rocketmq.ts';
import type { OffsetCommits } from './commit-offset.ts';
import { offsetOf, reportInvalidOffset } from './find-start.ts';
import { inspectQueue } from './inspect-queue.ts';
import type { KnownQueue } from './known-queue.ts';
import type { PullerDeps } from './puller-deps.ts';

/**
 * Without an answer for this long the queue may have been deleted and created again: brokers need seconds for it, and a
 * pull that is held or that failed in between does not show it.
 */
export const LIFE_CHECK_AFTER_MS = 1_000;

export interface LifeParts extends Pick<PullerDeps, 'client'> {
  readonly logger: Logger;
  readonly queue: MessageQueue;
  readonly messages: Pick<ProcessQueue, 'generation' | 'nextOffset'>;
  readonly known: Pick<KnownQueue, 'lifeMark' | 'beginLife'>;
  readonly commits: Pick<OffsetCommits, 'adopt'>;
}

/**
 * Is the queue still the one that the holder began with? When not, the holder goes on at its first message.
 * @throws what the client throws: nothing is concluded then
 */
export async function checkLife(parts: LifeParts, signal: AbortSignal): Promise<void> {
  const { client, logger, queue, messages, known, commits } = parts;
  const { lifeMark } = known;
  if (lifeMark === undefined) return;
  const { generation, nextOffset: candidate } = messages;
  const range = await inspectQueue(client, queue, { signal });
  if (range === undefined || messages.generation !== generation) return;
  if (!isAnotherLife(lifeMark, range)) return;
  const decision = {
    kind: 'minimum',
    offset: range.min,
    reason: 'another-life',
    candidate,
  } as const;
  reportInvalidOffset(logger, decision, range.min);
  known.beginLife(range);
  await commits.adopt(range.min, false);
}

type Moved = Extract<PullResult, { status: 'OFFSET_MOVED' }>;

/**
 * A pull was answered with OFFSET_MOVED, and not because of an operator's reset. Only the master's own figures decide
 * where to go on: a slave has a shorter history, and the offset that a broker offers for one above the maximum is its end,
 * which skips the messages of a topic that was created again.
 * @param trusted the answer came from the master, more than once
 * @returns false: the master has the offset after all, ask it
 * @throws what the client throws
 */
export async function followMovedOffset(
  parts: LifeParts,
  { minOffset, maxOffset, nextBeginOffset }: Moved,
  { asked, trusted, signal }: { asked: bigint; trusted: boolean; signal: AbortSignal },
): Promise<boolean> {
  const { client, logger, queue, messages, known, commits } = parts;
  const { lifeMark } = known;
  const { generation } = messages;
  const inspected = await inspectQueue(client, queue, { signal });
  const range = inspected ?? { min: minOffset, max: maxOffset, firstStoredAt: undefined };
  const decision = startOffset({
    stored: asked,
    committed: undefined,
    start: asked,
    mark: lifeMark,
    knownMax: undefined,
    range,
  });
  if (decision.kind === 'stored' && !trusted) return false;
  const offset =
    decision.kind === 'stored'
      ? nextBeginOffset
      : await offsetOf(client, queue, decision, range, { signal });
  if (messages.generation !== generation) return true;
  if (decision.kind === 'minimum' || decision.kind === 'younger-than')
    reportInvalidOffset(logger, decision, offset);
  if (decision.kind === 'minimum' && decision.reason !== 'below-minimum') known.beginLife(range);
  await commits.adopt(offset, false);
  return true;
}
