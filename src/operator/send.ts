import { queueKey } from '../model/message-queue.ts';
import type { SendResult } from '../ports/rocketmq.ts';
import type { Arguments } from './arguments.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { cut, notFound, usage } from './operator-error.ts';
import { requireSendable } from './permissions.ts';

export interface SendAnswer {
  readonly sent: readonly {
    readonly messageId: string;
    readonly offsetMessageId: string;
    readonly queue: string;
    readonly offset: string;
    readonly status: SendResult['status'];
  }[];
}

const MOST_BODY = 4 * 1024 * 1024;
/** As base64. */
const MAX_BODY_TEXT = Math.ceil(MOST_BODY / 3) * 4;

/** Sends messages with one body to a topic of the service's groups, or to another one that `operator.topics` allows. */
export async function send(deps: OperatorDeps, args: Arguments): Promise<SendAnswer> {
  const clusters = Object.keys(deps.service.clusters);
  const cluster =
    args.text('cluster') ??
    (clusters.length === 1 ? clusters[0] : undefined) ??
    usage(`--cluster is missing: there are ${clusters.join(', ')}`);
  if (!clusters.includes(cluster))
    notFound(`this service has no cluster "${cluster}": it has ${clusters.join(', ')}`);
  const topic = args.required('topic', 'the topic to send to');
  const text = args.text('body', MAX_BODY_TEXT);
  const base64 = args.text('body-base64', MAX_BODY_TEXT);
  const count = args.whole('count', 1, 1_000) ?? 1;
  const tag = args.text('tag');
  const keys = args.list('key');
  const shardingKey = args.text('sharding-key');
  const properties = Object.fromEntries((args.list('property') ?? []).map(parseProperty));
  args.finish();
  requireSendable(deps, cluster, topic);
  if ((text === undefined) === (base64 === undefined)) usage('give --body TEXT, or --body-base64');
  const body = text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text);
  if (body.length > MOST_BODY) usage(`the body is ${body.length} bytes: brokers take 4 MiB`);
  const client = deps.clients(cluster);
  const message = {
    topic,
    body,
    properties,
    ...(tag === undefined ? {} : { tags: tag }),
    ...(keys === undefined ? {} : { keys }),
    ...(shardingKey === undefined ? {} : { shardingKey }),
  };
  const sent: SendAnswer['sent'][number][] = [];
  for (let n = 0; n < count; n++) {
    const { msgId, offsetMsgId, queue, queueOffset, status } = await client.send(message);
    sent.push({
      messageId: msgId,
      offsetMessageId: offsetMsgId,
      queue: queueKey(queue),
      offset: String(queueOffset),
      status,
    });
  }
  return { sent };
}

function parseProperty(text: string): [string, string] {
  const at = text.indexOf('=');
  return at > 0
    ? [text.slice(0, at), text.slice(at + 1)]
    : usage(`--property is "${cut(text)}": give NAME=VALUE`);
}
