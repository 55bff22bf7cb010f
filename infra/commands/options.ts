import { OperatorError } from '../../src/operator/operator-error.ts';
import type { OptionDefinition, Values } from './command.ts';

const text = (usage: string): OptionDefinition => ({ usage, type: 'string' });
const flag = (usage: string): OptionDefinition => ({ usage, type: 'boolean' });

/** Options that every command has. */
export const COMMON = {
  json: flag('One JSON document on stdout, for scripts'),
  local: flag('Talk to brokers and table from here instead of through the deployed function'),
  'read-only': flag('Through the function that only reads (operator.readOnly in serverless.yml)'),
  table: text('With --local: name of the assignment table (ROCKETMQ_TABLE)'),
  'name-servers': text(
    'With --local: a:9876;b:9876 instead of the deployed ones (ROCKETMQ_NAME_SERVERS)',
  ),
} as const;

/** Which group, topic or queue. */
export const GROUP = {
  cluster: text('Key of the cluster'),
  group: text('Consumer group'),
} as const;
export const TOPIC = {
  ...GROUP,
  topic: text('Topic of the group; "retry" is its retry topic'),
} as const;
export const QUEUE = {
  ...TOPIC,
  queue: text('TOPIC/BROKER/ID, or BROKER/ID where the topic is clear'),
} as const;
export const DRY_RUN = { 'dry-run': flag('Say what would be done, and do nothing') } as const;
export const YES = { yes: flag('Do not ask') } as const;
export const WATCH = {
  watch: flag('Again and again until Ctrl-C; with --json one document per line'),
  interval: text('Seconds between two looks (2)'),
} as const;
export { flag, text };

/** Options of the command line that no request has. */
const OWN: ReadonlySet<string> = new Set([
  ...Object.keys({ ...COMMON, ...YES, ...WATCH }),
  ...[
    'function',
    'service',
    'stage',
    'region',
    'profile',
    'service-file',
    'output',
    'file',
    'aws-profile',
    'config',
    'param',
    'app',
    'org',
  ],
  ...['verbose', 'debug', 'help', 'help-interactive', 'version', 'use-local-credentials', 'force'],
]);
/** Points in time, and lengths of it. */
const TIMES: ReadonlySet<string> = new Set(['since', 'until']);
const DURATIONS: ReadonlySet<string> = new Set(['for']);

/**
 * The arguments of the request: what people write as `10m`, `2026-11-23T12:00Z` becomes numbers.
 * @throws OperatorError
 */
export function requestArguments(
  values: Values,
  names: readonly string[],
  now: number,
): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  for (const name of names) {
    const value = values[name];
    if (
      OWN.has(name) ||
      value === undefined ||
      value === false ||
      (Array.isArray(value) && value.length === 0)
    )
      continue;
    if (typeof value === 'string' && TIMES.has(name)) args[name] = parseTime(name, value, now);
    else if (typeof value === 'string' && DURATIONS.has(name))
      args[name] = parseDuration(name, value) / 1000;
    else args[name] = value;
  }
  return args;
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `30s`, `10m`, `2h`, `7d` in ms. */
export function parseDuration(name: string, value: string): number {
  const match = /^(\d{1,9})(s|m|h|d)$/.exec(value.trim());
  if (match === null)
    return wrong(
      `--${name} is "${value}": give a number with s, m, h or d, for example 90s, 10m or 2h`,
    );
  return Number(match[1]) * (UNITS[match[2] as string] as number);
}

/** ISO 8601 (UTC unless it names a zone), epoch milliseconds, `now`, or how long ago: `10m`. */
export function parseTime(name: string, value: string, now: number): number {
  const given = value.trim();
  if (given === 'now') return now;
  if (/^\d{11,16}$/.test(given)) return Number(given);
  if (/^\d+(s|m|h|d)$/.test(given)) return now - parseDuration(name, given);
  const iso =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(
      given,
    );
  const at =
    iso === null ? Number.NaN : Date.parse(`${iso[1]}T${iso[2] ?? '00:00'}${iso[3] ?? 'Z'}`);
  return Number.isNaN(at)
    ? wrong(
        `--${name} is "${value}": give a time such as 2026-11-23T12:00 (UTC), 2026-11-23T12:00+01:00, epoch milliseconds, or how long ago: 10m, 2h`,
      )
    : at;
}

export function positive(values: Values, name: string, fallback: number): number {
  const value = values[name];
  if (value === undefined) return fallback;
  const number = Number(value);
  return Number.isFinite(number) && number > 0
    ? number
    : wrong(`--${name} is ${JSON.stringify(value)}: give a number above 0`);
}

function wrong(message: string): never {
  throw new OperatorError('ROCKETMQ_OPERATOR_USAGE', message);
}
