import {
  abortSignal,
  anyFunction,
  type Check,
  fields,
  filledText,
  isObject,
  listOf,
  objectWith,
  offset,
  oneOf,
  optional,
  positive,
  rocketmqName,
  trueOrFalse,
  wholeNumber,
} from '../client/check-values.ts';
import {
  type DeadLetter,
  type DeadLetterSelection,
  peekDeadLetters as peek,
} from '../dlq/dead-letters.ts';
import { consumedTopics } from '../dlq/group-topics.ts';
import {
  type RedriveOptions,
  type RedriveReport,
  redriveDeadLetters as redrive,
} from '../dlq/redrive.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';

const SELECTION: Readonly<Record<keyof DeadLetterSelection, Check>> = {
  brokerName: optional(filledText),
  offset: optional(offset),
  since: optional(wholeNumber(0, Number.MAX_SAFE_INTEGER)),
  ids: optional(listOf(filledText, 'message ids')),
  offsets: optional(listOf(offset, 'offsets')),
};
const target: Check = (value, place) => {
  if (isObject(value)) fields({ topic: rocketmqName })(value, place);
  else oneOf('topic', 'group', 'a topic as { topic }')(value, place);
};
/** `limit: 0` gives nothing. */
const limit: Check = (value, place) => {
  if (value !== 0) positive(value, place);
};

const checkPeek = fields({
  ...SELECTION,
  limit: optional(limit),
  signal: optional(abortSignal),
  timeoutMs: optional(positive),
});

/** A misspelt `dryRun` would send everything. */
const checkRedrive = fields({
  ...SELECTION,
  to: optional(target),
  topics: optional(listOf(rocketmqName, 'topics')),
  limit: optional(limit),
  dryRun: optional(trueOrFalse),
  onFailure: optional(oneOf('stop', 'skip')),
  signal: optional(abortSignal),
  onProgress: optional(anyFunction),
});

const checkClient = objectWith({}, 'a client: createRocketMQClient(cluster)');

function checkCall(client: unknown, consumerGroup: unknown): void {
  checkClient(client, 'client');
  rocketmqName(consumerGroup, 'consumerGroup');
}

/**
 * Looks at dead letters, in the order of their queues. Nothing is committed, and nothing changes.
 * @param options.limit maximum of messages; default: no limit
 * @throws ConfigError for arguments that are missing, misspelt or not valid; DeadLettersUnreadableError
 */
export async function* peekDeadLetters(
  client: RocketMQ,
  consumerGroup: string,
  options: DeadLetterSelection & CallOptions & { readonly limit?: number } = {},
): AsyncGenerator<DeadLetter, void, undefined> {
  checkCall(client, consumerGroup);
  checkPeek(options, 'options');
  yield* peek(client, consumerGroup, options);
}

/**
 * Sends dead letters back to where they came from. Each is sent first and noted after (as an offset of the group REDRIVE_GROUP), so that none is
 * lost when this dies in between; up to 32 may be sent twice then, under the same message id. Without a selection it goes on where the last redrive
 * ended. A selection is redriven whatever was noted, and notes nothing itself: it leaves gaps. The dead letters stay stored until they expire.
 * Letters that name a topic of another group as their origin are passed over: see `topics`.
 * @throws ConfigError for arguments that are missing, misspelt or not valid; DeadLettersUnreadableError;
 * AmbiguousDeadLetterError when one of `ids` names several letters, before anything is sent;
 * with `onFailure: stop` RedriveStoppedError with what the send threw as its cause, after everything
 * before it was noted
 */
export async function redriveDeadLetters(
  client: RocketMQ,
  consumerGroup: string,
  options: RedriveOptions = {},
): Promise<RedriveReport> {
  checkCall(client, consumerGroup);
  checkRedrive(options, 'options');
  return await redrive(client, consumerGroup, options, consumedTopics(client, consumerGroup));
}
