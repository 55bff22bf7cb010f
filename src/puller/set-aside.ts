import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import { nextSetAside, type SetAsideStep } from '../decide/retry/set-aside.ts';
import type { Message } from '../model/message.ts';
import { setAsideBefore } from '../records/own-retry.ts';
import type { FailedSends } from './failed-sends.ts';
import { type OpenForEndParts, openForEnd } from './open-entry.ts';
import { type SendParts, type SendWay, sendInTurn } from './send-back.ts';

/** A message that could not be stored again waits here, and may be tried again after this. */
const REFUSED_MS = 60_000;

export interface SetAsideParts extends SendParts, OpenForEndParts {
  readonly memory: OpenForEndParts['memory'] & SendParts['memory'];
  readonly messages: ProcessQueue;
  readonly failedSends: Pick<FailedSends, 'note' | 'isInDoubt'>;
}

/** `waits`: the message was put back. `undecodable`: its body is damaged, and it is as it was. */
export type SetAsideOutcome = 'stored' | 'waits' | 'undecodable';

/**
 * Stores a message of the retry topic again at its end, uncounted, so that those behind it do not
 * wait for its handler. What the broker does not take waits here. After a send without an answer,
 * which may have stored it, this holder sends it no more.
 */
export async function setAside(parts: SetAsideParts, entry: QueueEntry): Promise<SetAsideOutcome> {
  const { messages, failedSends, clock, source } = parts;
  const { message } = entry;
  if (message === undefined || !messages.expects(entry)) return 'waits';
  const wait = (until: number): 'waits' => {
    messages.giveBack(entry, until, false);
    return 'waits';
  };
  const step: SetAsideStep = failedSends.isInDoubt(entry)
    ? { kind: 'wait', until: clock.now() + REFUSED_MS }
    : nextSetAside(setAsideBefore(message, source.consumerGroup), clock.now());
  if (step.kind === 'wait') return wait(step.until);
  const opened = await openForEnd(parts, entry, entry);
  if (opened === undefined) return wait(0);
  const { content, memory } = opened;
  if (content.message === undefined) {
    memory.release();
    return 'undecodable';
  }
  const ways = [setAsideWay(parts, content.message, entry.localRetries, step)];
  const outcome = await sendInTurn(parts, message, ways, 1).finally(() => memory.release());
  if (outcome.kind === 'lease-lost') return wait(0);
  if (outcome.kind === 'not-taken') {
    failedSends.note(entry, outcome.failure, outcome.unanswered);
    return wait(clock.now() + REFUSED_MS);
  }
  return messages.settle(entry) ? 'stored' : 'waits';
}

function setAsideWay(
  { client, source, lifecycle }: SendParts,
  message: Message,
  localRetries: number,
  step: Extract<SetAsideStep, { kind: 'send' }>,
): SendWay {
  return {
    name: 'set-aside',
    send: async () => {
      const options = { signal: lifecycle.signal('requests'), localRetries };
      await client.setAside(source.consumerGroup, message, step, options);
      return true;
    },
    warning: {
      code: 'ROCKETMQ_SET_ASIDE_FAILED',
      text: 'message of an event that cannot be called not stored again by the broker, it waits here',
      fields: {},
    },
  };
}
