import { DLQ_TOPIC_PREFIX, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';

/*
 * wire name => prefix? namespace "%" name              prefix => "%RETRY%" | "%DLQ%"
 */
const SEPARATOR = '%';
const PREFIXES = [RETRY_TOPIC_PREFIX, DLQ_TOPIC_PREFIX];

/** TopicValidator's, of brokers and clients alike: they belong to nobody's namespace. */
const SYSTEM_TOPICS: ReadonlySet<string> = new Set([
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRACE_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
  'CHECKPOINT_TOPIC',
]);
const SYSTEM_TOPIC_PREFIX = 'rmq_sys_';
const SYSTEM_GROUP_PREFIX = 'CID_RMQ_SYS_';

function isSystemResource(name: string): boolean {
  return (
    SYSTEM_TOPICS.has(name) ||
    name.startsWith(SYSTEM_TOPIC_PREFIX) ||
    name.startsWith(SYSTEM_GROUP_PREFIX)
  );
}

function parts(name: string): { prefix: string; rest: string } {
  const prefix = PREFIXES.find((candidate) => name.startsWith(candidate)) ?? '';
  return { prefix, rest: name.slice(prefix.length) };
}

/** A topic's or group's name as brokers know it. Names that have the namespace already, and system resources, stay as they are. Mirrors NamespaceUtil.wrapNamespace. */
export function withNamespace(namespace: string, name: string): string {
  const { prefix, rest } = parts(name);
  if (name === '' || isSystemResource(name) || rest.startsWith(namespace + SEPARATOR)) return name;
  return prefix + namespace + SEPARATOR + rest;
}

/** The name without this namespace; names of another one stay as they are. Mirrors NamespaceUtil.withoutNamespace(resource, namespace). */
export function withoutNamespace(namespace: string, name: string): string {
  const { prefix, rest } = parts(name);
  return !isSystemResource(name) && rest.startsWith(namespace + SEPARATOR)
    ? prefix + rest.slice(namespace.length + 1)
    : name;
}
