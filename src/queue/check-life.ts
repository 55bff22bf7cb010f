import { isAnotherLife } from '../decide/offset/queue-life.ts';
import { startOffset } from '../decide/offset/start-offset.ts';
import type { PullResult } from '../ports/rocketmq.ts';
import { inspectQueue } from './inspect-queue.ts';
import type { PullLoop } from './pull-ports.ts';
import type { LifeCheck } from './pull-state.ts';
import { offsetOf, reportInvalidOffset } from './valid-offset.ts';

type LifeChecks = Pick<PullLoop, 'client' | 'queue' | 'messages' | 'position' | 'life' | 'logger'>;

/**
 * Is the queue still the one that its mark was set in? When not, the loop goes on at its first message.
 * @throws what the client throws: nothing is concluded then
 */
export async function checkLife(
  loop: LifeChecks,
  signal: AbortSignal,
): Promise<Exclude<LifeCheck, 'unknown'>> {
  const { client, queue, messages, life } = loop;
  const { lifeMark } = life;
  if (lifeMark === undefined) return 'same';
  const { generation, nextOffset: candidate } = messages;
  const range = await inspectQueue(client, queue, { signal });
  if (messages.generation !== generation) return 'outdated';
  if (range === undefined || !isAnotherLife(lifeMark, range)) return 'same';
  const decision = {
    kind: 'minimum',
    offset: range.min,
    reason: 'another-life',
    candidate,
  } as const;
  reportInvalidOffset(loop.logger, decision, range.min);
  life.beginLife(range);
  await loop.position.moveTo(range.min, false);
  return 'another';
}

type Moved = Extract<PullResult, { status: 'OFFSET_MOVED' }>;

/**
 * A pull was answered with OFFSET_MOVED, and not because of an operator's reset. Only the master's own figures decide
 * where to go on: a slave has a shorter history, and the offset that a broker offers for one above the maximum is its end,
 * which skips the messages of a topic that was created again.
 * @param trusted the answer came from the master, more than once
 * @throws what the client throws
 */
export async function followMovedOffset(
  loop: LifeChecks,
  { minOffset, maxOffset, nextBeginOffset }: Moved,
  { asked, trusted, signal }: { asked: bigint; trusted: boolean; signal: AbortSignal },
): Promise<'moved' | 'contradicted'> {
  const { client, queue, messages, life } = loop;
  const { generation } = messages;
  const inspected = await inspectQueue(client, queue, { signal });
  const range = inspected ?? { min: minOffset, max: maxOffset, firstStoredAt: undefined };
  const decision = startOffset({
    stored: asked,
    committed: undefined,
    start: asked,
    mark: life.lifeMark,
    knownMax: undefined,
    range,
  });
  if (decision.kind === 'stored' && !trusted) return 'contradicted';
  const offset =
    decision.kind === 'stored'
      ? nextBeginOffset
      : await offsetOf(client, queue, decision, range, { signal });
  if (messages.generation !== generation) return 'moved';
  if (decision.kind === 'minimum' || decision.kind === 'younger-than')
    reportInvalidOffset(loop.logger, decision, offset);
  if (decision.kind === 'minimum' && decision.reason !== 'below-minimum') life.beginLife(range);
  await loop.position.moveTo(offset, false);
  return 'moved';
}
