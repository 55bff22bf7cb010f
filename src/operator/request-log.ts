import { cut } from './operator-error.ts';

/** Arguments that say what a command is about. All others may hold contents of messages. */
const SHOWN: ReadonlySet<string> = new Set([
  ...['cluster', 'group', 'topic', 'queue', 'offset', 'id', 'to', 'trace-topic'],
  ...['since', 'until', 'for', 'limit', 'count', 'rate'],
  ...['all', 'full', 'park', 'dry-run', 'skip-failed'],
]);
/** Arguments that are logged as their length. */
const MEASURED: ReadonlySet<string> = new Set([
  ...['body', 'body-base64', 'property', 'key', 'tag', 'sharding-key', 'reason'],
  ...['targets', 'cursor'],
]);
const MAX_ITEMS = 10;

interface LoggedRequest {
  readonly command: string;
  /** The user that the command line reports. Not proven: CloudTrail's data events have the identity, by the request id. */
  readonly by?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What a request asked for, without bodies, properties and other contents: those are logged as their length. */
export function requestForLog(request: unknown): LoggedRequest {
  const { command, by, args } = (request ?? {}) as Readonly<Record<string, unknown>>;
  const given = typeof args === 'object' && args !== null ? Object.entries(args) : [];
  const unknown = given.filter(([name]) => !SHOWN.has(name) && !MEASURED.has(name)).length;
  return {
    command: cut(typeof command === 'string' ? command : typeof command),
    ...(typeof by === 'string' ? { by: cut(by) } : {}),
    args: {
      ...Object.fromEntries(
        given.flatMap(([name, value]) => {
          if (SHOWN.has(name)) return [[name, shown(value)]];
          return MEASURED.has(name) ? [[`${name}Length`, lengthOf(value)]] : [];
        }),
      ),
      // Their names may be contents, too.
      ...(unknown === 0 ? {} : { unknown }),
    },
  };
}

function shown(value: unknown): unknown {
  if (typeof value === 'string') return cut(value);
  if (Array.isArray(value))
    return value.slice(0, MAX_ITEMS).map((each) => (typeof each === 'string' ? cut(each) : null));
  return typeof value === 'number' || typeof value === 'boolean' ? value : typeof value;
}

function lengthOf(value: unknown): unknown {
  if (typeof value === 'string') return value.length;
  return Array.isArray(value) ? value.map(lengthOf) : typeof value;
}
