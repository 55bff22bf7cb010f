import type { Message } from '../model/message.ts';

/** version-traceid-parentid-flags, https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{8})([0-9a-f]{24})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;
const NO_TRACE = /^0+$/;

/**
 * X-Ray's header as SQS has it in `attributes.AWSTraceHeader`: the producer's own, or made of its W3C `traceparent`, whose ids X-Ray takes in its
 * form. undefined: the producer gave none, or none that is valid.
 */
export function traceHeader(properties: Message['properties']): string | undefined {
  const own = properties.get('AWSTraceHeader') ?? properties.get('X-Amzn-Trace-Id');
  if (own !== undefined) return own;
  const [, epoch, rest, parent = '', flags = ''] =
    TRACEPARENT.exec(properties.get('traceparent') ?? '') ?? [];
  if (
    epoch === undefined ||
    rest === undefined ||
    NO_TRACE.test(epoch + rest) ||
    NO_TRACE.test(parent)
  )
    return undefined;
  return `Root=1-${epoch}-${rest};Parent=${parent};Sampled=${Number.parseInt(flags, 16) & 1}`;
}

/** What HTTP takes as a header's value. A call with anything else would fail, and its messages with it, again and again: producers write what they like. */
const SENDABLE = /^[\x20-\x7e]{1,512}$/;

/** The one trace that all records belong to: only then can the handler's invocation go on with it. */
export function commonTrace(headers: readonly (string | undefined)[]): string | undefined {
  const [header] = headers;
  const root = rootOf(header);
  return root !== undefined &&
    SENDABLE.test(header ?? '') &&
    headers.every((one) => rootOf(one) === root)
    ? header
    : undefined;
}

function rootOf(header: string | undefined): string | undefined {
  return /(?:^|;)\s*Root=([^;]+)/.exec(header ?? '')?.[1];
}
