import {
  abortSignal,
  anyFunction,
  fields,
  filledText,
  oneOf,
  optional,
  positive,
  refuse,
} from '../client/check-values.ts';

const checkSql = fields({ sql: filledText }, 'a tag expression or { sql }');

export function checkFilter(value: unknown, place: string): void {
  if (typeof value === 'string') return;
  if (typeof value !== 'object') refuse(value, place, 'a tag expression or { sql }');
  checkSql(value, place);
}

/** Of `messages`. @throws ConfigError that names the field */
export const checkReadOptions = fields({
  signal: optional(abortSignal),
  filter: optional(checkFilter),
  startingPosition: optional(oneOf('TRIM_HORIZON', 'LATEST')),
  commitIntervalMs: optional(positive),
  flowLimits: optional(
    fields({
      maxMessages: optional(positive),
      maxBytes: optional(positive),
      maxSpan: optional(positive),
    }),
  ),
  routeIntervalMs: optional(positive),
  onUndecodable: optional(anyFunction),
});
