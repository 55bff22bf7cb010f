import { flowControl } from '../decide/pull/flow-control.ts';
import { fewer } from '../decide/pull/memory-budget.ts';
import { answerCost } from '../decide/pull/memory-costs.ts';
import { AnswerDroppedError, ConnectionError } from '../errors.ts';
import { MASTER_ID } from '../model/route.ts';
import type { PullRequest, PullResult } from '../ports/rocketmq.ts';
import { checkLife, followMovedOffset } from './check-life.ts';
import type { PullLoop } from './pull-ports.ts';
import {
  firstPull,
  type LifeCheck,
  mayHold,
  type PullAction,
  type PullEvent,
  type PullState,
  type PullStep,
  stepPull,
} from './pull-state.ts';

/** Java's pullBatchSize. Brokers give at most 32 messages from memory, 8 from disk, unless they are configured otherwise. */
export const PULL_BATCH_SIZE = 32;
/** Flow control, or no right to pull: look again after this, if nothing changed before. */
const FULL_WAIT_MS = 50;

/** Why a loop returned. `stopped`: no repetition of the pull helps. */
export type PullEnd =
  | { readonly kind: 'ended' }
  | {
      readonly kind: 'stopped';
      readonly why: 'refused' | 'unreadable';
      readonly error: unknown;
    };

/** A pull that was sent. */
interface SentPull {
  readonly request: PullRequest;
  readonly brokerId: number;
  readonly signal: AbortSignal;
  /** Of the message buffer when it was sent. */
  readonly generation: number;
  readonly resetPending: boolean;
}

/**
 * Keeps the message buffer of one queue filled until its lifecycle ends: pulls, and carries out what
 * pull-state decides about each answer. Mirrors DefaultMQPushConsumerImpl.pullMessage.
 */
export async function pullQueue(loop: PullLoop): Promise<PullEnd> {
  const { lifecycle, position, observer, wakeup } = loop;
  let state = firstPull(loop.clock.now(), loop.isMarkOld);
  while (lifecycle.ending === undefined) {
    // A reset that waits for a pull does not wait for the messages that it will drop.
    if (!position.resetPending && isFull(loop)) {
      observer.full?.();
      await wakeup.wait(FULL_WAIT_MS);
      continue;
    }
    const suspendMs = loop.suspendMs();
    if (suspendMs === undefined) {
      loop.memory.endFetch();
      await wakeup.wait(FULL_WAIT_MS);
      continue;
    }
    const outcome = await pullOnce(loop, state, nextPull(loop, state, suspendMs)).finally(() =>
      loop.memory.endFetch(),
    );
    if ('kind' in outcome) return outcome;
    state = outcome;
  }
  return { kind: 'ended' };
}

/** Sends one pull and does all that its answer demands. */
async function pullOnce(
  loop: PullLoop,
  before: PullState,
  sent: SentPull,
): Promise<PullState | PullEnd> {
  let cause: unknown;
  let result: PullResult | undefined;
  const attempt = async (
    state: PullState,
    brokerId: number,
    work: () => Promise<PullEvent>,
  ): Promise<PullStep> => {
    try {
      return stepPull(state, await work());
    } catch (error) {
      if (sent.signal.aborted) return stepPull(state, { type: 'interrupted' });
      const { request, resetPending } = sent;
      if (error instanceof AnswerDroppedError)
        return stepPull(state, {
          type: 'dropped',
          maxMessages: fewer(request.maxMessages),
          resetPending,
        });
      cause = error;
      return handleFailure(loop, state, error, brokerId);
    }
  };
  let step = await attempt(before, sent.brokerId, async () => {
    const { request, signal } = sent;
    const reserve = (bytes: number): boolean =>
      loop.memory.receive(bytes, request.maxMessages, loop.clock.now());
    result = await loop.client.pull(request, { signal, reserve });
    loop.observer.answered?.();
    return answered(loop, sent, result);
  });
  while (step.action.type !== 'pull') {
    const { state, action } = step;
    if (action.type === 'stop') return { kind: 'stopped', why: action.why, error: cause };
    // All other requests go to the master.
    step = await attempt(state, MASTER_ID, () => perform(loop, action, sent, result));
  }
  return step.state;
}

function nextPull(loop: PullLoop, state: PullState, suspendMs: number): SentPull {
  const { memory, messages, position, lifecycle } = loop;
  const { resetPending } = position;
  const answersAtOnce = resetPending || memory.reserves || !mayHold(state);
  const { unreadable, maxMessages = loop.batchSize } = state;
  const singly = unreadable > 0 || resetPending || loop.pullsSingly();
  // Only the master knows of resets.
  const brokerId = resetPending ? MASTER_ID : state.brokerId;
  return {
    request: {
      consumerGroup: loop.consumerGroup,
      queue: loop.queue,
      offset: messages.nextOffset,
      subscription: loop.subscription,
      maxMessages: singly ? 1 : maxMessages,
      suspendMs: answersAtOnce ? 0 : suspendMs,
      keepCompressed: true,
      maxAnswerBytes: memory.maxAnswerBytes,
      brokerId,
    },
    brokerId,
    signal: lifecycle.signal('pull'),
    generation: messages.generation,
    resetPending,
  };
}

function answered(loop: PullLoop, sent: SentPull, result: PullResult): PullEvent {
  const { status, nextBeginOffset, suggestWhichBrokerId } = result;
  const { offset, suspendMs } = sent.request;
  // A slave that lags behind its lost master says so for an offset that it does not have yet.
  const lags = status === 'NO_MATCHED_MSG' && nextBeginOffset <= offset;
  return {
    type: 'answered',
    answer: {
      status,
      reset: status === 'OFFSET_MOVED' && result.reset,
      fromMaster: sent.brokerId === MASTER_ID,
      outdated: loop.messages.generation !== sent.generation,
      resetPending: sent.resetPending,
      repeats: lags || (status === 'NO_NEW_MSG' && suspendMs === 0),
    },
    suggestedBrokerId: suggestWhichBrokerId,
    now: loop.clock.now(),
  };
}

/** Carries out what is neither a pull nor the end. */
async function perform(
  loop: PullLoop,
  action: Exclude<PullAction, { type: 'pull' | 'stop' }>,
  sent: SentPull,
  result: PullResult | undefined,
): Promise<PullEvent> {
  // Another queue may have the memory while this one waits.
  if (WAITS.has(action.type)) loop.memory.endFetch();
  switch (action.type) {
    case 'back-off':
      await loop.clock.sleep(action.waitMs, loop.lifecycle.signal('pull')).catch(() => {});
      return { type: 'waited' };
    case 'linger':
      await loop.wakeup.wait(action.waitMs);
      return { type: 'waited' };
    case 'read-stored-offset':
      await loop.position.resolveReset();
      return { type: 'reset-read', pending: loop.position.resetPending };
    default:
      if (result === undefined) throw new Error(`${action.type} without an answer`);
      return handleAnswer(loop, action, sent, result);
  }
}

const WAITS: ReadonlySet<PullAction['type']> = new Set([
  'back-off',
  'linger',
  'read-stored-offset',
]);

type AnswerAction = Extract<
  PullAction,
  { type: 'follow-reset' | 'inspect-queue' | 'check-life' | 'admit' | 'take' }
>;

async function handleAnswer(
  loop: PullLoop,
  action: AnswerAction,
  { request, signal, generation }: SentPull,
  result: PullResult,
): Promise<PullEvent> {
  // Checked here, where nothing can come between: the position may change at every await.
  if (loop.messages.generation !== generation) return { type: 'interrupted' };
  switch (action.type) {
    case 'follow-reset':
      await followReset(loop, result);
      return { type: 'moved' };
    case 'inspect-queue': {
      if (result.status !== 'OFFSET_MOVED') return { type: 'moved' };
      const { trusted } = action;
      const answer = { asked: request.offset, trusted, signal };
      const found = await followMovedOffset(loop, result, answer);
      return found === 'moved' ? { type: found } : { type: found, now: loop.clock.now() };
    }
    case 'check-life':
      return { type: 'life-checked', life: await lifeOf(loop, signal), now: loop.clock.now() };
    case 'admit': {
      const { bytes, count } = sizeOf(result);
      // An inner batch is one record with up to 32,767 messages: half of it cannot be asked for.
      const records = Math.min(count, request.maxMessages);
      return loop.memory.admit(bytes, records, loop.clock.now())
        ? { type: 'admitted' }
        : { type: 'not-admitted', maxMessages: fewer(records) };
    }
    case 'take':
      take(loop, result, action.isMarked);
      return { type: 'taken' };
  }
}

async function followReset(loop: PullLoop, result: PullResult): Promise<void> {
  const { messages, position, observer, logger, wakeup } = loop;
  const from = messages.nextOffset;
  logger.warn(
    {
      code: 'ROCKETMQ_OFFSET_RESET',
      from: String(from),
      to: String(result.nextBeginOffset),
    },
    'offset reset by an operator, resuming there',
  );
  observer.taken?.(result, from);
  await position.moveTo(result.nextBeginOffset, true);
  wakeup.all();
}

/** A check that fails is repeated with a later answer. Until then the mark stays, so that nothing is concluded. */
async function lifeOf(loop: PullLoop, signal: AbortSignal): Promise<LifeCheck> {
  try {
    return await checkLife(loop, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof ConnectionError) loop.position.connectionLost();
    loop.logger.warn(
      { err: error, code: 'ROCKETMQ_QUEUE_NOT_INSPECTED' },
      'offsets of the queue not available, asking again',
    );
    return 'unknown';
  }
}

function handleFailure(
  loop: PullLoop,
  state: PullState,
  error: unknown,
  brokerId: number,
): PullStep {
  const failure = loop.failureOf(error);
  const now = loop.clock.now();
  const step = stepPull(state, { type: 'failed', failure, brokerId, now, random: loop.random() });
  loop.observer.failed?.(step.action.type !== 'back-off');
  if (step.action.type !== 'back-off') return step;
  if (error instanceof ConnectionError) loop.position.connectionLost();
  const waitMs = Math.round(step.action.waitMs);
  loop.logger.warn({ err: error, failure, waitMs, code: 'ROCKETMQ_PULL_FAILED' }, 'pull failed');
  return step;
}

function isFull({ memory, messages, limits, clock }: PullLoop): boolean {
  return flowControl(messages, limits) !== undefined || !memory.mayFetch(clock.now());
}

/** What the answer takes in memory. */
function sizeOf(result: PullResult): { bytes: number; count: number } {
  if (result.status !== 'FOUND') return { bytes: 0, count: 0 };
  const { messages, undecodable, size } = result;
  const count = messages.length + undecodable.length;
  return { bytes: count === 0 ? 0 : answerCost(size, messages, undecodable.length), count };
}

function take(loop: PullLoop, result: PullResult, isMarked: boolean): void {
  const { messages, life, logger } = loop;
  const from = messages.nextOffset;
  if (result.status === 'FOUND') {
    const { undecodable, nextBeginOffset } = result;
    const { bytes } = sizeOf(result);
    messages.put(result.messages, undecodable, nextBeginOffset, loop.clock.now(), bytes);
    if (isMarked) life.found(result.messages);
    if (result.overlapping.length > 0)
      logger.error(
        {
          code: 'ROCKETMQ_RECORDS_OVERLAP',
          count: result.overlapping.length,
          offset: String(result.overlapping[0]),
        },
        'messages of an inner batch dropped, other records have their offsets',
      );
  } else messages.advance(result.nextBeginOffset);
  loop.observer.taken?.(result, from);
  loop.wakeup.all();
}
