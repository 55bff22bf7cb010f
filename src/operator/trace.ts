import { TopicNotFoundError } from '../errors.ts';
import { readTraceData, type TraceEntry } from '../records/read-trace-data.ts';
import type { Arguments } from './arguments.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { notFound } from './operator-error.ts';
import { type PeekAnswer, scan } from './peek.ts';
import { queuesOfTopic } from './queue-figures.ts';
import { chooseSource } from './scope.ts';

export interface TraceAnswer extends Omit<PeekAnswer, 'messages'> {
  readonly messageId: string;
  readonly traceTopic: string;
  /** In the order of the trace topic, which is not quite that of time. */
  readonly entries: readonly TraceEntry[];
}

/** Of brokers with traceTopicEnable. */
const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC';
/** Larger ones nobody sends: a dispatcher's own limit is 128,000 bytes. */
const MOST_BODY = 1_000_000;
const MOST_MESSAGES = 1_000;

/**
 * What the message trace knows of a message (mqadmin queryMsgTraceById): who sent it when, which groups' handlers had it and with what result. Trace
 * messages have the ids of their messages as keys; the topic is looked through for them as `peek` does it.
 */
export async function trace(deps: OperatorDeps, args: Arguments): Promise<TraceAnswer> {
  const source = chooseSource(deps, args);
  const client = deps.clients(source.cluster);
  const messageId = args.required('id', 'the message id that handlers and producers see');
  const traceTopic = args.text('trace-topic') ?? source.trace?.topic ?? TRACE_TOPIC;
  const [since, until] = [args.time('since'), args.time('until')];
  const cursor = args.text('cursor');
  args.finish();
  const queues = await queuesOfTopic(client, traceTopic).catch((error: unknown) => {
    if (!(error instanceof TopicNotFoundError)) throw error;
    return notFound(
      `there is no trace topic "${traceTopic}": name yours with --trace-topic, or switch tracing on (groups.${source.consumerGroup}.trace in serverless.yml, traceTopicEnable=true on a broker)`,
    );
  });
  const { messages, ...end } = await scan(deps, client, source, {
    ...{ queues, limit: MOST_MESSAGES, mostBody: MOST_BODY, cursor },
    start: (queue) =>
      since === undefined ? client.minOffset(queue) : client.searchOffset(queue, since),
    wanted: { id: undefined, key: messageId, tag: undefined, since, until },
  });
  const entries = messages
    .flatMap((message) => ('body' in message ? readTraceData(message.body) : []))
    .filter((entry) => entry.messageId === messageId);
  return { messageId, traceTopic, entries, ...end };
}
