import type { z } from 'zod';
import { eventOptions } from '../../src/config/event-options.ts';
import { PROBLEM_CODES } from '../../src/config/problem-codes.ts';
import { clusterOptions, groupOptions, serviceOptions } from '../../src/config/service-options.ts';
import {
  DEFAULT_METRIC_GROUPS,
  METRICS,
  type MetricGroup,
  type MetricName,
  metricGroup,
} from '../../src/model/metrics.ts';
import { ENVIRONMENT } from '../../src/runtime/environment.ts';
import { answersTable } from './answer-meaning.ts';

/** What each metric counts. The type makes a metric without a meaning an error. */
const METRIC_MEANINGS: Readonly<Record<MetricName, string>> = {
  PolledEventCount:
    'messages that brokers gave; 0 for a poll that brought none, so that silence means broken',
  FilteredOutEventCount:
    'messages that a filter left out: by tag or SQL92 at the broker, or by `filterPatterns`',
  InvokedEventCount: 'messages given to handlers, repetitions included',
  InvokedBatchCount: 'handler calls',
  FailedInvokeEventCount:
    'messages that handlers failed, and messages of batches that failed whole',
  DroppedEventCount:
    'messages that handlers gave up (`action: drop`), or that failed in a broadcast',
  OnFailureDestinationDeliveredEventCount: 'messages that the destination of `onFailure` took',
  CommittedEventCount: 'how far committed offsets moved on',
  RetriedEventCount: 'messages given back to come again',
  DeadLetteredEventCount: 'messages that failed for good, wherever they went',
  DiscardedEventCount:
    'messages that failed for good and that neither `onFailure` nor the dead-letter queue took: their content stands in the log (`ROCKETMQ_MESSAGE_DISCARDED`). Worth an alarm',
  DuplicateEventCount:
    'messages that handlers get again though they did not fail them: the answer was lost, it was not waited for at the end of an invocation or a lease, or a message before them was not done when the queue was given back. A lower bound: nobody knows what a puller that died had delivered, nor which commits and acknowledgements arrived that were not confirmed',
  PollingErrorCount: 'polls that failed',
  InvokeErrorCount: 'handler calls that threw, timed out, or could not be made',
  CommitErrorCount: 'commits that failed; the next one repeats them',
  SendBackErrorCount:
    'failed messages that the broker did not take: they are delivered again by the puller that has them, or their dead letters are tried again',
  OnFailureDestinationDeliveryErrorCount:
    'messages that the destination of `onFailure` did not take: the DLQ has them',
  InvalidResponseCount: 'handler answers that are none of the allowed ones: their batches failed',
  ThrottleCount:
    'handler calls that Lambda throttled; they are tried again and no message fails by them',
  LostLeases: 'leases that ended while they were worked with',
  ClockSkewCount:
    'clocks of two sandboxes that differ by more than 30 s, as leases show it (`ROCKETMQ_CLOCK_SKEW`): what was delivered may be delivered again',
  SumOffsetLag:
    'messages between committed offsets and the ends of their queues; in mode `pop` what is still to be popped, retry topics included: most brokers count what was popped and is not acknowledged yet as done',
  MaxOffsetLag: 'the same of the worst queue',
  OldestMessageAge:
    'how long the oldest message that is not done has been stored; in mode `pop` the oldest that was not popped, read under the group `serverless-rocketmq-ages` (with ACL it needs SUB)',
  StalledQueues:
    'queues with messages whose offset has not moved for 15 minutes; not of queues that are popped from',
  UnownedQueues:
    'queues with messages that nobody holds, for longer than a puller needs to come; not of queues that are popped from',
  UnmeasuredQueues:
    'queues whose lag could not be measured, because their brokers did not answer: then SumOffsetLag and MaxOffsetLag are not reported, and no other figure is reported as 0. A broker that was removed counts for a day',
  ActivePollers: 'pullers that hold a lease',
  WakeLatency:
    'from the store of a message in a queue that nobody held until its handler is called, cold start and what options make it wait (`maximumBatchingWindow`, thresholds of activation) included: one value per puller that such a message woke. Not for a queue’s first puller, nor after a pause, nor with `coexist`; with clocks that differ, never below 0',
  SuccessionGap:
    'from the end of a lease (its release, or when it ran out because its puller died) until the next, where messages were left over: so long nobody worked them. A few tenths of a second where the successor waited already; not after a pause, not with `coexist`',
  PollerThroughputInBytes: 'stored bytes of the messages that brokers gave',
  PollerUtilization:
    'share of a puller’s time in which a queue of it has messages in hand, from the answer that brings them until the last is settled; a value per minute and one for the rest. With `coexist` by queue',
  CurrentLeases: 'queues that somebody holds; who holds them are ActivePollers (KCL’s NumWorkers)',
  ExpiredLeases:
    'leases that had run out without a release when the next puller came: their pullers died',
  LeaseConflicts:
    'pullers that came for nothing, because another one held the queue or waited for it',
  AssignmentDuration:
    'how long a pass of the coordinator took to write new assignments, from its start; told only when it changed some, not with `coexist`',
  CoordinatorHeartbeat: '1 per run of the coordinator, of dimension `Service`',
  CoordinatorErrorCount: 'problems that a run of the coordinator met, of dimension `Service`',
};

const ENVIRONMENT_MEANINGS: Readonly<Record<keyof typeof ENVIRONMENT, string>> = {
  table: 'name of the assignment table; set by the plugin',
  pullerFunction: 'the function that the coordinator invokes; set by the plugin',
  nameServers:
    '`a:9876;b:9876` instead of the name servers in the bundle, for the default cluster or the only one',
  runToken:
    'of a local run: coordinator and puller act only on requests that have it; set by the plugin',
  accessKey: 'credentials for clusters that have none in serverless.yml',
  secretKey: 'credentials for clusters that have none in serverless.yml',
  securityToken: 'credentials for clusters that have none in serverless.yml',
  renewInterval:
    'how often a puller renews its leases, and so sees a pause or a move; milliseconds, 10,000',
  logLevel: 'level of the added functions; else AWS_LAMBDA_LOG_LEVEL, else info',
  errorLength: 'characters kept of the error texts of handlers, 500; set by the plugin',
  metricsDisabled: '`true`: no metrics are written (Powertools’ variable)',
  consoleMetrics: 'where a local run’s console takes metrics; set by the plugin',
  offline: 'set by serverless-offline: nothing is told to CloudWatch then',
};

/** Fields of the log lines of coordinator, puller and operator, beside pino's `level`, `time` and `msg`. */
const LOG_FIELDS: readonly (readonly [string, string])[] = [
  [
    'service, function, requestId',
    'where the line is from: the service, coordinator or puller, Lambda’s request id',
  ],
  ['cluster, consumerGroup, slot', 'the source, and the virtual consumer that it is for'],
  ['queue', '`topic/broker/id`'],
  [
    'holder, fence',
    'who has the lease of the queue, and its number: a line with a lower fence is of somebody who has lost it',
  ],
  ['offset, msgId, offsetMsgId', 'the message'],
  ['batchId', 'the handler call; the same as `rocketmqBatch.batchId` in its event'],
  [
    'reason',
    'why a queue’s work ended: idle, deadline, moved, paused, retired, succession, signal, lease-lost, …',
  ],
  ['code', 'what happened, stable: search for it'],
  ['err', 'an error with type, message, stack and code'],
  ['waitMs, attempt', 'a repetition, and when'],
];

/** docs/reference.md. A test keeps file and code equal. */
export async function referencePage(): Promise<string> {
  return `# Reference

<!-- Written by npm run docs; a test fails when it is older than the code. -->

## The \`rocketmq\` event

${optionTable(eventOptions.shape)}

## \`custom.rocketmq\`

${optionTable(serviceOptions.shape)}

### \`custom.rocketmq.clusters.<name>\`

${optionTable(clusterOptions.shape)}

### \`custom.rocketmq.groups.<consumerGroup>\`

${optionTable(groupOptions.shape)}

## Answers of handlers

What Lambda's runtimes post for answers, and what the puller makes of it, for a batch of the messages A and B. It is the same in all four event formats. What runtimes post was recorded from the runtimes of AWS: Node.js by \`JSON.stringify\`, Python, Go and Java by their runtime interface clients. The rows of .NET come from the source of its classes; its serializer was not run. An answer that means \`the batch failed\` is logged with its reason (\`ROCKETMQ_INVALID_ANSWER\`). [Failures](failures.md) has the rules.

Two answers pass for success that may not be meant so: of Node.js a \`Map\` or an \`Error\` that a function returns is \`{}\` on the wire (inline, both fail). Bytes of Python are the JSON that they hold.

${await answersTable()}

## Problems of serverless.yml

Every problem names its path, the wrong value, the allowed ones and a code, all of them in one run.

| code | |
| --- | --- |
${Object.entries(PROBLEM_CODES)
  .map(([code, meaning]) => row(`\`${code}\``, meaning))
  .join('\n')}

## Metrics

Namespace \`RocketMQ/Lambda\`, dimension \`EventSource\` = \`<service>-<stage>/<consumerGroup>\` (with \`<cluster>/\` before the group for other clusters than default), in CloudWatch’s embedded format: they are read out of the logs, no call is made and no right is needed.
Groups are chosen by \`custom.rocketmq.metrics\`: ${DEFAULT_METRIC_GROUPS.join(', ')} without it. \`QueueMetrics\` tells SumOffsetLag and OldestMessageAge by \`EventSource\`, \`Topic\` and \`Queue\` as well. Counts that are 0 are not told, except polls; of LagMetrics only SumOffsetLag and OldestMessageAge are, unless \`metrics\` lists the group. Times and shares of pullers are told one by one, so that percentiles are true. Alarm on WakeLatency (p99, say) where a message must not wait for a cold start, on SuccessionGap and ExpiredLeases where pullers are killed or run out of memory.
CloudWatch charges each metric of each event source ($0.30 a month at its list price of 2026-11, by the hours in which it is told): an idle group has 2 ($0.60), a busy one about 13 ($3.90), and QueueMetrics adds 2 per queue, PollerMetrics ${count('PollerMetrics')} and LeaseMetrics ${count('LeaseMetrics')} at most.

| metric | unit | group | |
| --- | --- | --- | --- |
${(Object.keys(METRICS) as MetricName[]).map((name) => row(`\`${name}\``, METRICS[name], metricGroup(name), METRIC_MEANINGS[name])).join('\n')}

## Log fields

One JSON object per line. At \`info\` a puller logs a handful of lines per queue and invocation; a line per handler call comes at \`debug\` only.

| field | |
| --- | --- |
${LOG_FIELDS.map(([names, meaning]) => row(names, meaning)).join('\n')}

## Environment variables

Of the functions that the plugin adds, and of local runs.

| variable | |
| --- | --- |
${(Object.keys(ENVIRONMENT) as (keyof typeof ENVIRONMENT)[]).map((key) => row(`\`${ENVIRONMENT[key]}\``, ENVIRONMENT_MEANINGS[key])).join('\n')}
`;
}

function optionTable(shape: Readonly<Record<string, z.ZodType>>): string {
  const rows = Object.entries(shape).map(([name, schema]) =>
    row(`\`${name}\``, defaultOf(schema), schema.description ?? ''),
  );
  return ['| option | default | |', '| --- | --- | --- |', ...rows].join('\n');
}

/** How many metrics a group has. */
function count(group: MetricGroup): number {
  return (Object.keys(METRICS) as MetricName[]).filter((name) => metricGroup(name) === group)
    .length;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** What an event without the option has. */
function defaultOf(schema: z.ZodType): string {
  const { success, data } = schema.safeParse(undefined);
  if (!success) return isOptional(schema) ? '–' : 'required';
  if (data === undefined) return '–';
  return `\`${typeof data === 'string' ? data : JSON.stringify(data)}\``;
}

function isOptional(schema: z.ZodType): boolean {
  return schema.def.type === 'optional';
}
