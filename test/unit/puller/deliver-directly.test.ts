import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Context } from 'aws-lambda';
import { createInlineHandler } from '../../../src/delivery/inline-handler.ts';
import type { RocketMQEvent } from '../../../src/model/event.ts';
import type { SubscriptionConfig } from '../../../src/model/source.ts';
import { deliverDirectly } from '../../../src/puller/deliver-directly.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';
import { source, subscription } from '../../support/coordinator-world.ts';
import { messageAt } from '../../support/records.ts';

const deliver = (
  handler: (event: never) => unknown,
  message = messageAt(1),
  settings: Partial<SubscriptionConfig> = {},
) =>
  deliverDirectly(
    {
      clock: systemClock,
      handlers: () => createInlineHandler(handler, () => ({}) as Context),
    },
    source([subscription('orders', settings)]),
    message,
  );

describe('a message that an operator has delivered', () => {
  test('failed when its handler says so, whatever that did to the event', async () => {
    const { result } = await deliver(({ Records }: RocketMQEvent) => {
      const itemIdentifier = Records[0]?.messageId;
      for (const record of Records) record.messageId = record.receiptHandle = 'overwritten';
      Records.length = 0;
      return { batchItemFailures: [{ itemIdentifier }] };
    });
    assert.equal(result, 'CR_LATER');
  });

  test('failed when the answer cannot be read', async () => {
    const { result, remark } = await deliver(() => ({
      get batchItemFailures() {
        throw new Error('not now');
      },
    }));
    assert.deepEqual([result, remark], ['CR_LATER', 'the answer cannot be read: not now']);
  });

  test('succeeded whatever its handler answers, where no answer is read', async () => {
    for (const answer of [{ statusCode: 200 }, { batchItemFailures: [{ itemIdentifier: 'x' }] }]) {
      const none = { functionResponseType: 'None' } as const;
      assert.equal((await deliver(() => answer, messageAt(1), none)).result, 'CR_SUCCESS');
      assert.equal((await deliver(() => answer)).result, 'CR_LATER');
    }
    const failing = () => {
      throw new Error('no');
    };
    const { result } = await deliver(failing, messageAt(1), { functionResponseType: 'None' });
    assert.equal(result, 'CR_THROW_EXCEPTION');
  });

  test('is told to be unprocessable when it cannot be read itself', async () => {
    const message = messageAt(1);
    const broken = new Proxy(message, {
      get(target, name) {
        if (name === 'bornHost') throw new Error('no host');
        return Reflect.get(target, name, target);
      },
    });
    const { result, remark } = await deliver(() => undefined, broken);
    assert.equal(result, 'CR_THROW_EXCEPTION');
    assert.match(remark ?? '', /^ROCKETMQ_MESSAGE_UNPROCESSABLE: no host/);
  });
});
