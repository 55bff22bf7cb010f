import type { Message } from '../model/message.ts';

/** version-traceid-parentid-flags, https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{8})([0-9a-f]{24})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;
const NO_TRACE = /^0+$/;

const ROOT = /^1-[0-9a-f]{8}-[0-9a-f]{24}$/;
const PARENT = /^[0-9a-f]{16}$/;
/** Longer headers are not read. */
const MAX_HEADER_LENGTH = 512;

/**
 * X-Ray's header as SQS has it in `attributes.AWSTraceHeader`: the producer's own, or made of its W3C `traceparent`, whose ids X-Ray takes in its
 * form. Ids that are not well-formed, and all other fields (`Lineage`, with which Lambda detects loops), are left out. undefined: the producer gave
 * none, or none that is valid.
 */
export function traceHeader(properties: Message['properties']): string | undefined {
  const own = properties.get('AWSTraceHeader') ?? properties.get('X-Amzn-Trace-Id');
  if (own !== undefined) return wellFormed(own);
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

function wellFormed(header: string): string | undefined {
  if (header.length > MAX_HEADER_LENGTH) return undefined;
  const fields = new Map(
    header.split(';').map((field) => {
      const [name = '', value = ''] = field.split('=', 2);
      return [name.trim(), value.trim()];
    }),
  );
  const root = fields.get('Root') ?? '';
  const parent = fields.get('Parent') ?? '';
  const sampled = fields.get('Sampled') ?? '';
  if (!ROOT.test(root)) return undefined;
  return [
    `Root=${root}`,
    ...(PARENT.test(parent) ? [`Parent=${parent}`] : []),
    ...(/^[01]$/.test(sampled) ? [`Sampled=${sampled}`] : []),
  ].join(';');
}

/**
 * The one trace that all records belong to: only then can the handler's invocation go on with it.
 * Without the producer's choice of sampling: what is traced, and paid, is the choice of the service.
 */
export function commonTrace(headers: readonly (string | undefined)[]): string | undefined {
  const [first] = headers;
  const header = first === undefined ? undefined : wellFormed(first);
  const root = rootOf(header);
  return root !== undefined && headers.every((one) => rootOf(one) === root)
    ? header?.replace(/;Sampled=[01]$/, '')
    : undefined;
}

function rootOf(header: string | undefined): string | undefined {
  return /(?:^|;)\s*Root=([^;]+)/.exec(header ?? '')?.[1];
}
