import { randomUUID } from 'node:crypto';
import type { CallOutcome } from '../delivery/read-outcome.ts';
import { describeThrown } from '../delivery/thrown.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import { subAfter, subBefore, TraceCode, tracedMessage } from '../records/trace-data.ts';
import type { MessageTrace } from './message-trace.ts';
import type { PullerDeps } from './puller-deps.ts';
import type { Batch } from './work.ts';

export interface TraceParts extends Pick<PullerDeps, 'clock' | 'trace'> {
  readonly logger: Logger;
  readonly source: SourceConfig;
}

type Ended = CallOutcome | 'expired';

/**
 * Notes a handler call in the message trace, before and after. Java tells one result for all messages of a call; here each message has its own, as
 * the handler's answer says. Mirrors ConsumeMessageTraceHookImpl.
 * @returns to be told how the call ended; a call that could not be made has no end
 */
export function traceCall(parts: TraceParts, batch: Batch): (ended: Ended) => void {
  const { trace, logger } = parts;
  if (trace === undefined) return () => {};
  // A trace that cannot be made harms no delivery.
  const harmless = <Result>(append: () => Result): Result | undefined => {
    try {
      return append();
    } catch (error) {
      logger.warn(
        { ...describeThrown(error), batchId: batch.batchId, code: 'ROCKETMQ_TRACE_LOST' },
        'handler call not traced',
      );
      return undefined;
    }
  };
  const after = harmless(() => traceStart(parts, trace, batch));
  return (ended) => harmless(() => after?.(ended));
}

function traceStart(
  { clock, source }: TraceParts,
  trace: MessageTrace,
  batch: Batch,
): (ended: Ended) => void {
  const { consumerGroup } = source;
  const startedAt = clock.now();
  const requestId = randomUUID().replaceAll('-', '').toUpperCase();
  const messages = batch.deliveries.map(({ message }) => tracedMessage(message));
  trace.append(
    messages.flatMap((message) =>
      message === undefined
        ? []
        : [subBefore(message, { timestamp: startedAt, consumerGroup, requestId })],
    ),
  );
  return (ended) => {
    const codeOf = codes(ended);
    if (codeOf === undefined) return;
    const timestamp = clock.now();
    const costMs = Math.floor((timestamp - startedAt) / messages.length);
    trace.append(
      messages.flatMap((message, position) =>
        message === undefined
          ? []
          : [
              subAfter(message, {
                timestamp,
                consumerGroup,
                requestId,
                costMs,
                code: codeOf(position),
              }),
            ],
      ),
    );
  };
}

function codes(ended: Ended): ((position: number) => TraceCode) | undefined {
  if (ended === 'expired') return () => TraceCode.TIME_OUT;
  switch (ended.kind) {
    case 'answered': {
      const { verdict } = ended;
      return (position) =>
        verdict.kind === 'read' && !verdict.failures.has(position)
          ? TraceCode.SUCCESS
          : TraceCode.FAILED;
    }
    case 'failed': {
      const code = /timed?out/i.test(ended.errorType) ? TraceCode.TIME_OUT : TraceCode.EXCEPTION;
      return () => code;
    }
    case 'unavailable':
    case 'too-large':
    case 'misconfigured':
      return undefined;
  }
}
