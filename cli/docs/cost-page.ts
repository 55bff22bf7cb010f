import { bill, PRICES } from '../../src/operator/cost.ts';

const QUEUES = [1, 4, 16, 64] as const;
/** Of the time, messages come so densely that pullers stay. */
const SHARES = [0, 0.1, 0.5, 1] as const;
/** The defaults of the plugin. */
const SETTINGS = { pullerGb: 0.5, coordinatorGb: 0.25, lifeSeconds: 840 };
/** Lambda's provisioned pollers for Kafka: one event poller unit, and the least that a mapping or a group of mappings has. */
const EPU_HOUR = 0.185;
const HOURS = 730;

/** docs/cost.md: the same arithmetic as `serverless rocketmq cost`, for services that do not exist yet. */
export function costPage(): string {
  const dollars = (queues: number, share: number, scheduled = false): string => {
    const held = queues * share;
    return `$${bill({ groups: 1, queues, heldQueues: held, pullers: held }, { ...SETTINGS, scheduled }).dollars.toFixed(2)}`;
  };
  return `# What it costs

<!-- Written by npm run docs; a test fails when it is older than the code. -->

A month of 730 hours, one consumer group, pullers of 512 MB (one per queue) and a coordinator of 256 MB, at list prices of us-east-1 on arm64, without free tiers. Handlers are left out: they cost what they cost behind any event source. \`serverless rocketmq cost\` computes the same from the leases of a service that runs.

| queues | no messages | a tenth of the time | half of it | always |
| --- | --- | --- | --- | --- |
${QUEUES.map((queues) => `| ${queues} | ${SHARES.map((share) => dollars(queues, share)).join(' | ')} |`).join('\n')}

What is counted: the coordinator's 55 seconds of every minute (most of the first column, whatever the number of groups), pullers while they run (and for 20 s after the last message), a table write per queue and 10 s, reads of each pass, invocations, the schedule.

With \`coordinator: { mode: schedule }\` the first column is ${dollars(1, 0, true)} and every other one is less by the same: the coordinator looks once a minute (2 s a run are assumed), so that a message in an idle queue waits for up to a minute.

What makes it less:

* \`coordinator: { mode: schedule }\`, where a minute until the first message of a quiet queue does no harm; \`coordinator: { memorySize: 128 }\` halves its price where it watches.
* \`groups.<group>.scaling\`: queues with little traffic wait for more messages, or until the first is so old, before a puller comes.
* \`pullers: N\`: queues share N invocations. A group of 64 queues with \`pullers: 4\` costs about what 4 queues cost, plus the table writes.
* \`puller: { memorySize: 256 }\`: half the price; memory is also processor, and the room for messages that wait.
* A larger \`batchSize\` makes fewer handler calls.
* \`invocation: inline\`: no second function is paid while it works, but the puller is billed while the handler waits for others.
* \`metrics: []\` or fewer groups: each metric of each event source is $0.30 a month ([which there are](reference.md#metrics)).

Prices, as of 2026-11 ([Lambda](https://aws.amazon.com/lambda/pricing/), [DynamoDB](https://aws.amazon.com/dynamodb/pricing/on-demand/), [EventBridge Scheduler](https://aws.amazon.com/eventbridge/pricing/), [CloudWatch](https://aws.amazon.com/cloudwatch/pricing/)):

| price | |
| --- | --- |
${Object.entries(PRICES)
  .map(([name, price]) => `| ${name} | $${price} |`)
  .join('\n')}

For comparison: Lambda's event source mapping for Kafka has retries, record age and failure destinations in its provisioned mode only, whose least is one event poller unit for up to 100 mappings: $${EPU_HOUR} an hour, $${(EPU_HOUR * HOURS).toFixed(0)} a month ([pricing](https://aws.amazon.com/lambda/pricing/)).
`;
}
