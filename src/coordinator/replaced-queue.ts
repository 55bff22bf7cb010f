import { isAnotherLife } from '../decide/offset/queue-life.ts';
import type { Assignment } from '../model/assignment.ts';
import type { GroupRun } from './group-run.ts';

/**
 * Was an idle queue deleted and created again, so that all its messages are new although the group's offset is its end? A
 * puller has to begin anew there. Where the broker does not answer, nothing is concluded.
 * @param max the queue's maximum now
 */
export async function isReplaced(
  { rocketmq, signal, logger }: GroupRun,
  { queue, lifeMark }: Assignment,
  max: bigint,
): Promise<boolean> {
  if (lifeMark === undefined || max === 0n) return false;
  try {
    const [min, firstStoredAt] = await Promise.all([
      rocketmq.minOffset(queue, { signal }),
      rocketmq.firstStoredAt(queue, { signal }),
    ]);
    return min < max && isAnotherLife(lifeMark, { min, max, firstStoredAt });
  } catch (error) {
    if (!signal.aborted) logger.debug({ err: error }, 'life of an idle queue not checked');
    return false;
  }
}
