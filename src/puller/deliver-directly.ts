import { randomUUID } from 'node:crypto';
import { MAX_EVENT_BYTES } from '../delivery/batch.ts';
import { buildRecord } from '../delivery/build-record.ts';
import { addRecord } from '../delivery/offload-body.ts';
import { readAnswer } from '../delivery/read-answer.ts';
import { describeThrown } from '../delivery/thrown.ts';
import type { RocketMQRecord } from '../model/event.ts';
import type { DirectResult } from '../model/membership.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig } from '../model/source.ts';
import { timerMs } from '../model/timer.ts';
import { userTopic } from '../records/subscription.ts';
import { maxReconsumeTimes } from './max-reconsume-times.ts';
import { builderFor } from './next-batch.ts';
import type { PullerDeps } from './puller-deps.ts';

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
  const { cluster, consumerGroup } = source;
  const topic = userTopic(message, consumerGroup);
  const subscription = source.subscriptions.find((candidate) => candidate.topic === topic);
  if (subscription === undefined)
    return ended(
      'CR_THROW_EXCEPTION',
      `no handler of group "${consumerGroup}" takes topic "${topic}"`,
    );
  const { handler } = subscription;
  const builder = builderFor(subscription);
  const { region = 'local', accountId = '000000000000' } = deps;
  const limits = { localRetries: 0, maxReconsumeTimes: maxReconsumeTimes(subscription, message) };
  const traced = subscription.tracing !== 'off';
  const build = (): RocketMQRecord =>
    buildRecord(message, {
      cluster,
      consumerGroup,
      topic,
      now: startedAt,
      region,
      accountId,
      traced,
      mode: source.mode ?? 'pull',
      ...limits,
    });
  // Where nothing may be put into a bucket (the operator's function has no right to) the handler gets the body as it is, if an event carries it.
  if (
    addRecord(builder, build, message.body, deps.bodies && subscription.s3PointerThreshold) !==
    'added'
  )
    return ended(
      'CR_THROW_EXCEPTION',
      `the event is larger than Lambda's ${MAX_EVENT_BYTES} bytes`,
    );
  const timeoutMs = handler.timeout * 1000;
  const offset = String(message.queueOffset);
  const payload = builder.finish({
    batchId: randomUUID(),
    attempt: 1,
    minOffset: offset,
    maxOffset: offset,
    lag: 0,
    deadline: startedAt + timeoutMs,
  });
  const pointer = builder.items[0]?.s3Pointer;
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(new Error(`the body was not stored within ${timeoutMs} ms`)),
    timerMs(timeoutMs),
  );
  try {
    if (pointer !== undefined)
      await deps.bodies?.put(pointer, message.body, { signal: limit.signal });
  } catch (error) {
    return ended('CR_THROW_EXCEPTION', (error as Error).message);
  } finally {
    clearTimeout(timer);
  }
  const outcome = await deps.handlers(handler).invoke(payload, { timeoutMs });
  switch (outcome.kind) {
    case 'answered': {
      const verdict = readAnswer(outcome.answer, builder.items, subscription.eventFormat);
      if (verdict.kind === 'invalid') return ended('CR_LATER', verdict.reason);
      return ended(verdict.failures.size === 0 ? 'CR_SUCCESS' : 'CR_LATER');
    }
    case 'failed':
      return ended('CR_THROW_EXCEPTION', `${outcome.errorType}: ${outcome.errorMessage}`);
    case 'unavailable':
    case 'too-large':
    case 'misconfigured':
      return ended('CR_THROW_EXCEPTION', outcome.error.message);
  }
}
