import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MemberInfo } from '../../../src/model/membership.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import type { RemotingCommand } from '../../../src/remoting/command.ts';
import type { Wire } from '../../../src/requests/define-request.ts';
import {
  consumeDirectly,
  getRunningInfo,
  notifyConsumerIdsChanged,
  resetClientOffsets,
} from '../../../src/requests/member-requests.ts';

const command = ({ extFields, body = Buffer.alloc(0) }: Wire, code = 0): RemotingCommand => ({
  code,
  language: 'JAVA',
  version: 475,
  opaque: 1,
  flag: 0,
  remark: undefined,
  extFields,
  body,
});
const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 3 };

describe('what brokers ask of members', () => {
  test('a membership notice names the group', () => {
    assert.deepEqual(
      notifyConsumerIdsChanged.decode(
        command(notifyConsumerIdsChanged.encode({ consumerGroup: 'g' })),
      ),
      {
        consumerGroup: 'g',
      },
    );
  });

  test('a reset as a broker writes it: queues as keys of the table, offsets of 64 bits', () => {
    const body = Buffer.from(
      '{"offsetTable":{{"brokerName":"broker-a","queueId":3,"topic":"orders"}:9007199254740993}}',
    );
    const read = resetClientOffsets.decode(
      command({
        extFields: { topic: 'orders', group: 'g', timestamp: '-1', isForce: 'true' },
        body,
      }),
    );
    assert.deepEqual(read, {
      consumerGroup: 'g',
      topic: 'orders',
      offsets: [{ queue, offset: 9007199254740993n }],
    });
    assert.deepEqual(resetClientOffsets.decode(command(resetClientOffsets.encode(read))), read);
    assert.deepEqual(
      resetClientOffsets.decode(command({ extFields: { topic: 'orders', group: 'g' } })).offsets,
      [],
    );
  });

  test('running info keeps queues, offsets and subscriptions, in the form that consoles parse', () => {
    const info: MemberInfo = {
      startedAt: 1_763_870_400_123,
      nameServers: ['a:9876', 'b:9876'],
      subscriptions: [buildSubscription('orders', 'paid || refunded')],
      queues: [
        {
          queue,
          committedOffset: 9007199254740993n,
          cachedCount: 7,
          cachedBytes: 2 * 1_048_576,
          lastPullAt: 5,
          lastConsumeAt: undefined,
        },
      ],
      notes: { puller: 'serverless-rocketmq' },
    };
    const wire = getRunningInfo.encodeAnswer(info);
    assert.match(
      String(wire.body),
      /"mqTable":\{\{"brokerName":"broker-a","queueId":3,"topic":"orders"\}:\{"commitOffset":9007199254740993,/,
    );
    assert.deepEqual(getRunningInfo.decodeAnswer(command(wire)), info);
  });

  test('a direct delivery carries the stored message, its result Java’s names', () => {
    const request = { consumerGroup: 'g', brokerName: 'broker-a', stored: Buffer.from('record') };
    assert.deepEqual(consumeDirectly.decode(command(consumeDirectly.encode(request))), request);
    const wire = consumeDirectly.encodeAnswer({ result: 'CR_LATER', remark: 'no', spentMs: 3 });
    assert.deepEqual(JSON.parse(String(wire.body)), {
      order: false,
      autoCommit: true,
      consumeResult: 'CR_LATER',
      remark: 'no',
      spentTimeMills: 3,
    });
    assert.deepEqual(consumeDirectly.decodeAnswer(command(wire)), {
      result: 'CR_LATER',
      remark: 'no',
      spentMs: 3,
    });
  });
});
