import { BatchBuilder } from '../../src/delivery/batch.ts';
import { buildRecord } from '../../src/delivery/build-record.ts';
import type { RocketMQRecord } from '../../src/model/event.ts';
import { EVENT_FORMATS, type EventFormatName } from '../../src/model/event-formats.ts';
import { decodeRecords } from '../../src/records/decode-records.ts';
import { encodeRecord } from '../../src/records/encode-record.ts';

/** Its end is random. */
const RECEIPT_HANDLE = 'orders/broker-a/2/4711.0f8fad5b-d9cb-469f-a165-70867728950e';
const BORN = 1_763_870_400_123;

const ABOUT: Readonly<Record<EventFormatName, string>> = {
  sqs: "The default. Shaped like an SQS event, so that tools for SQS work on it, with RocketMQ's own fields in `rocketmq`. The other shapes tell less, and none tells more.",
  kafka:
    "Lambda's event of a self-managed Kafka, for handlers and tools that were written for it. `key` is the property KEYS, `value` the body, both in base64; headers are the user's properties. A queue is named `<topic>-<broker>-<id>`, because each broker has ids of its own, and an offset is of the queue that the message came from: a redelivery has another one, so take `rocketmq.idempotencyKey` for [idempotency](idempotency.md). The answer may name messages by `{ \"topic-partition\", offset }` or `{ partition, offset }`, as AWS's documents and as tools write it.",
  cloudevents:
    "A list of CloudEvents 1.0, as Alibaba's Function Compute gives them. `id` is the messageId, so that `source` and `id` name a message also when it is delivered again ([identifiers](failures.md#identifiers)); for idempotency take `data.rocketmq.idempotencyKey`.",
  raw: "The `data` of those CloudEvents alone: Function Compute's RawData.",
};

/** docs/events.md: the shapes of events, made by the code that makes the real ones. */
export function eventsPage(): string {
  return `# Events

<!-- Written by npm run docs; a test fails when it is older than the code. -->

What a handler gets, by the option \`eventFormat\`, of one and the same message: topic \`orders\`, delivered for the second time. All messages of an event are of one queue and one topic. A body that is valid UTF-8 is text, any other is base64, and \`bodyEncoding\` says which.

The answer is the same for every shape: \`{ batchItemFailures: [{ itemIdentifier, delaySeconds?, delayLevel?, action? }], othersDone? }\` with a \`receiptHandle\`, or a \`messageId\` ([identifiers](failures.md#identifiers)). The types are exported: \`RocketMQEvent\`, \`RocketMQKafkaEvent\`, \`RocketMQCloudEvent\`, \`RocketMQRawMessage\`; for unit tests \`createRocketMQEvent(messages, { eventFormat })\` makes each of them. \`createHandler\`, \`partialBatch\` and \`rocketmqRecords\` work with \`sqs\`.

${EVENT_FORMATS.map((format) => `## \`${format}\`\n\n${ABOUT[format]}\n\n\`\`\`json\n${example(format)}\n\`\`\``).join('\n\n')}
`;
}

function example(format: EventFormatName): string {
  const record = encodeRecord({
    topic: 'orders',
    queueId: 2,
    flag: 0,
    queueOffset: 4711n,
    commitLogOffset: 1_234_567n,
    sysFlag: 0,
    bornTimestamp: BORN,
    bornHost: { address: '10.0.3.17', port: 52_114 },
    storeTimestamp: BORN + 2,
    storeHost: { address: '10.0.3.9', port: 10_911 },
    reconsumeTimes: 1,
    preparedTransactionOffset: 0n,
    body: Buffer.from('{"orderId":17,"state":"paid"}'),
    properties: {
      UNIQ_KEY: 'AC1A2B3C00002A9F0000000000001267',
      TAGS: 'paid',
      KEYS: 'order-17',
      __SHARDINGKEY: 'order-17',
      tenant: 'acme',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
  });
  const builder = new BatchBuilder(undefined, format);
  for (const message of decodeRecords(record, { brokerName: 'broker-a' }).messages) {
    const build = (): RocketMQRecord => ({
      ...buildRecord(message, {
        cluster: 'default',
        consumerGroup: 'order-worker',
        topic: 'orders',
        region: 'eu-west-1',
        accountId: '123456789012',
        maxReconsumeTimes: 16,
        localRetries: 0,
        now: BORN + 67,
      }),
      receiptHandle: RECEIPT_HANDLE,
    });
    builder.add(build(), build);
  }
  const batch = {
    batchId: '6f1c4d1e-6a0e-4a57-9d6e-0d6e4a576a0e',
    attempt: 1,
    minOffset: '4711',
    maxOffset: '4711',
    lag: 1_204,
    deadline: BORN + 30_067,
  };
  const event = builder.finish(batch).event();
  // Bytes of a header in one line each.
  return JSON.stringify(event, null, 2).replaceAll(
    /\[\n\s+(\d+(?:,\n\s+\d+)*)\n\s+\]/g,
    (_all, bytes: string) => `[${bytes.replaceAll(/\s+/g, ' ')}]`,
  );
}
