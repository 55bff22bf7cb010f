import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureMemory } from '../../bench/memory.ts';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { FLOW_LIMITS } from '../../src/decide/pull/flow-control.ts';
import { startDynamoDBLocal } from '../support/dynamodb-local.ts';
import { startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack } from '../support/stack.ts';

/** A body, its place in the frame, and what Node keeps of a message. */
const BYTES_A_MESSAGE = 8 * 1024;
/** Frames that are on their way, batches with handlers, compiled code. */
const SLACK_MIB = 48;

test('a puller whose handler is slow holds no more than flow control lets it, however much waits', {
  skip: missingStack('rocketmq', 'dynamodb'),
}, async () => {
  const [rocketmq, dynamodb] = await Promise.all([startRealRocketMQ(), startDynamoDBLocal()]);
  const client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
  try {
    const { handled, queues, liveMiB } = await measureMemory({
      nameServer: rocketmq.nameServer,
      endpoint: dynamodb.endpoint,
      client,
    });
    const mayHold = Math.ceil((queues * FLOW_LIMITS.maxMessages * BYTES_A_MESSAGE) / 1024 / 1024);
    assert.ok(
      handled > 0 && handled < 100_000,
      `handled ${handled}: the handler is slower than the broker, and works`,
    );
    assert.ok(
      liveMiB <= mayHold + SLACK_MIB,
      `${liveMiB} MiB in use; flow control allows ${mayHold} MiB`,
    );
  } finally {
    await client.close();
    await Promise.all([rocketmq.stop(), dynamodb.stop()]);
  }
});
