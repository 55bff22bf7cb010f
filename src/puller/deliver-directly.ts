import { randomUUID } from 'node:crypto';
import { type BatchBuilder, MAX_EVENT_BYTES } from '../delivery/batch.ts';
import { addRecord } from '../delivery/offload-body.ts';
import { readAnswer } from '../delivery/read-answer.ts';
import { describeThrown } from '../delivery/thrown.ts';
import type { S3Pointer } from '../model/event.ts';
import type { DirectResult } from '../model/membership.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import { timerMs } from '../model/timer.ts';
import type { HandlerOutcome } from '../ports/invoke.ts';
import { userTopic } from '../records/subscription.ts';
import { builderFor } from './next-batch.ts';
import type { PullerDeps } from './puller-deps.ts';
import { type RecordParts, recordOf } from './record-of.ts';

/**
 * One message to its handler because an operator asked for it: whatever comes of it, nothing is committed, sent back or repeated.
 * Mirrors ConsumeMessageConcurrentlyService.consumeMessageDirectly.
 */
export async function deliverDirectly(
  deps: DirectDeps,
  source: SourceConfig,
  message: Message,
): Promise<DirectResult> {
  const startedAt = deps.clock.now();
  try {
    return await deliver(deps, source, message);
  } catch (error) {
    const remark = `ROCKETMQ_MESSAGE_UNPROCESSABLE: ${describeThrown(error).errorMessage}`;
    return { result: 'CR_THROW_EXCEPTION', remark, spentMs: deps.clock.now() - startedAt };
  }
}

type DirectDeps = Pick<PullerDeps, 'clock' | 'handlers' | 'region' | 'accountId' | 'bodies'>;

async function deliver(
  deps: DirectDeps,
  source: SourceConfig,
  message: Message,
): Promise<DirectResult> {
  const startedAt = deps.clock.now();
  const ended = (result: DirectResult['result'], remark?: string): DirectResult => ({
    result,
    ...(remark === undefined ? {} : { remark }),
    spentMs: deps.clock.now() - startedAt,
  });
  const { consumerGroup } = source;
  const topic = userTopic(message, consumerGroup);
  const subscription = source.subscriptions.find((candidate) => candidate.topic === topic);
  if (subscription === undefined)
    return ended(
      'CR_THROW_EXCEPTION',
      `no handler of group "${consumerGroup}" takes topic "${topic}"`,
    );
  const { handler } = subscription;
  const timeoutMs = handler.timeout * 1000;
  const builder = eventOf({ ...deps, source }, message, subscription);
  if (builder === undefined)
    return ended(
      'CR_THROW_EXCEPTION',
      `the event is larger than Lambda's ${MAX_EVENT_BYTES} bytes`,
    );
  const notStored = await storeBody(deps.bodies, builder.items[0]?.s3Pointer, message, timeoutMs);
  if (notStored !== undefined) return ended('CR_THROW_EXCEPTION', notStored);
  const offset = String(message.queueOffset);
  const payload = builder.finish({
    batchId: randomUUID(),
    attempt: 1,
    minOffset: offset,
    maxOffset: offset,
    lag: 0,
    deadline: startedAt + timeoutMs,
    ...(subscription.order && { order: subscription.order.by }),
  });
  const outcome = await deps.handlers(handler).invoke(payload, { timeoutMs });
  return ended(...resultOf(outcome, builder, subscription));
}

/** Where nothing may be put into a bucket (the operator's function has no right to) the handler gets the body as it is, if an event carries it. */
function eventOf(
  parts: RecordParts & Pick<DirectDeps, 'bodies' | 'clock'>,
  message: Message,
  subscription: SubscriptionConfig,
): BatchBuilder | undefined {
  const builder = builderFor(subscription);
  const fit = addRecord(
    builder,
    () => recordOf(parts, message, subscription, 0, parts.clock.now()),
    message.body,
    parts.bodies && subscription.s3PointerThreshold,
  );
  return fit === 'added' ? builder : undefined;
}

/** Why the body is not in its bucket; undefined: it is, or it need not be. */
async function storeBody(
  bodies: DirectDeps['bodies'],
  pointer: S3Pointer | undefined,
  { body }: Message,
  timeoutMs: number,
): Promise<string | undefined> {
  if (bodies === undefined || pointer === undefined) return undefined;
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(new Error(`the body was not stored within ${timeoutMs} ms`)),
    timerMs(timeoutMs),
  );
  try {
    await bodies.put(pointer, body, { signal: limit.signal });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    clearTimeout(timer);
  }
}

function resultOf(
  outcome: HandlerOutcome,
  { items }: BatchBuilder,
  { eventFormat, functionResponseType }: SubscriptionConfig,
): [DirectResult['result'], string?] {
  switch (outcome.kind) {
    case 'answered': {
      if (functionResponseType === 'None') return ['CR_SUCCESS'];
      const verdict = readAnswer(outcome.answer, items, eventFormat);
      if (verdict.kind === 'invalid') return ['CR_LATER', verdict.reason];
      return [verdict.failures.size === 0 ? 'CR_SUCCESS' : 'CR_LATER'];
    }
    case 'failed':
      return ['CR_THROW_EXCEPTION', `${outcome.errorType}: ${outcome.errorMessage}`];
    case 'unavailable':
    case 'too-large':
    case 'misconfigured':
      return ['CR_THROW_EXCEPTION', outcome.error.message];
  }
}
