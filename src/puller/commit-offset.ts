import { offsetStory } from '../decide/offset/offset-story.ts';
import { ConnectionError } from '../errors.ts';
import type { QueueSession } from './queue-session.ts';

/** Within the safety margin of the lease, see decide/lease. */
const COMMIT_TIMEOUT_MS = 3_000;

/**
 * Brings the broker's offset up to what is settled. Only while the lease allows, only forward, never over an operator's reset.
 * Mirrors RemoteBrokerOffsetStore.persist, with an answer that is read.
 */
export async function commitOffset(session: QueueSession): Promise<void> {
  const { deps, messages, source, queue, knownOffset } = session;
  if (session.resetPending || messages.committable <= knownOffset || !session.mayAct()) return;
  const call = { signal: session.lost.signal, timeoutMs: COMMIT_TIMEOUT_MS };
  try {
    const stored = await deps.client.queryOffset(source.consumerGroup, queue, call);
    const story = offsetStory(stored, knownOffset, session.connectionBroke);
    if (story.kind === 'reset') {
      session.logger.warn(
        { known: String(knownOffset), stored: String(story.offset) },
        'the stored offset was changed by somebody else: adopting it',
      );
      return await adoptOffset(session, story.offset);
    }
    if (story.kind === 'lost-commits')
      session.logger.warn(
        { known: String(knownOffset), stored: stored === undefined ? undefined : String(stored) },
        'the broker lost commits: committing again',
      );
    // Messages may have been dropped for another offset while the query was under way.
    if (session.knownOffset !== knownOffset || !session.mayAct()) return;
    const offset = messages.committable;
    const { resetPending } = await deps.client.commitOffset(source.consumerGroup, queue, offset, call);
    if (resetPending) {
      session.logger.warn({ offset: String(offset) }, 'an operator reset the offset: pulling to learn where to');
      session.resetPending = true;
      session.interruptPull();
      return;
    }
    session.connectionBroke = false;
    if (session.knownOffset === knownOffset) session.knownOffset = offset;
  } catch (error) {
    if (session.lost.signal.aborted) return;
    if (error instanceof ConnectionError) session.connectionBroke = true;
    session.logger.warn({ err: error }, 'a commit failed; the next one repeats it');
  }
}

/**
 * Goes on at an offset that the broker or an operator dictates: everything pulled before is forgotten, in flight too, and the new offset is
 * stored before anything else is delivered. It may lie before the old one. Mirrors the OFFSET_ILLEGAL branch of DefaultMQPushConsumerImpl.
 */
export async function adoptOffset(session: QueueSession, offset: bigint): Promise<void> {
  session.messages.dropAll(offset);
  session.knownOffset = offset;
  session.resetPending = false;
  session.interruptPull();
  session.wakeup.all();
  if (!session.mayAct()) return;
  const { resetPending } = await session.deps.client.commitOffset(session.source.consumerGroup, session.queue, offset, {
    signal: session.lost.signal,
    timeoutMs: COMMIT_TIMEOUT_MS,
  });
  session.resetPending = resetPending;
}
