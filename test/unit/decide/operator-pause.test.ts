import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pauseOf } from '../../../src/decide/state/operator-pause.ts';
import { reasonOfAssignment, reasonOfError } from '../../../src/decide/state/state-reason.ts';
import type { Assignment } from '../../../src/model/assignment.ts';
import { FOREIGN_SLOT } from '../../../src/model/membership.ts';

const NOW = 1_000_000;
const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 2 };
const pause = (scope: string, until: number) => ({ scope, until, since: NOW - 1, reason: scope });

describe("an operator's pause", () => {
  test('of the group, of the topic or of the queue counts; the one that ends last is told', () => {
    assert.equal(
      pauseOf(
        queue,
        [pause('*', NOW + 1), pause('orders', NOW + 3), pause('orders/broker-a/2', NOW + 2)],
        NOW,
      )?.reason,
      'orders',
    );
    assert.equal(pauseOf(queue, [pause('orders/broker-a/2', NOW + 2)], NOW)?.until, NOW + 2);
  });
  test('of something else, or one that is over, does not', () => {
    const others = ['payments', 'orders/broker-a/1', 'orders/broker-b/2', 'order', ''];
    assert.equal(
      pauseOf(
        queue,
        [...others.map((scope) => pause(scope, NOW + 9)), pause('*', NOW), pause('orders', 0)],
        NOW,
      ),
      undefined,
    );
  });
  test('of a topic leaves the retry topic alone', () => {
    assert.equal(
      pauseOf({ ...queue, topic: '%RETRY%g' }, [pause('orders', NOW + 9)], NOW),
      undefined,
    );
    assert.ok(pauseOf({ ...queue, topic: '%RETRY%g' }, [pause('*', NOW + 9)], NOW));
  });
});

describe('the reason of a state', () => {
  const item = (more: Partial<Assignment> = {}): Assignment => ({
    ...{
      cluster: 'default',
      consumerGroup: 'g',
      queue,
      slot: 0,
      generation: 1,
      startOffset: 0n,
      fence: 1,
    },
    ...more,
  });
  const operatorPause = { until: NOW + 5, since: NOW, reason: 'why' };
  for (const [reason, assignment, enabled] of [
    [undefined, item(), true],
    ['PAUSED_BY_OPERATOR', item({ operatorPause, pausedUntil: NOW + 5 }), true],
    [undefined, item({ operatorPause: { ...operatorPause, until: NOW }, pausedUntil: NOW }), true],
    ['PAUSED_BY_CHECK', item({ pausedUntil: NOW + 5 }), true],
    ['DISABLED', item({ pausedUntil: NOW + 5 }), false],
    ['HELD_BY_ANOTHER_MEMBER', item({ slot: FOREIGN_SLOT }), true],
    ['CRASHING', item({ crash: { offset: 1n, count: 2, isolateUntil: 1n } }), true],
    [undefined, item({ crash: { offset: 1n, count: 1, isolateUntil: 1n } }), true],
  ] as const)
    test(`from the table: ${reason ?? 'none'}`, () =>
      assert.equal(reasonOfAssignment(assignment, enabled, NOW), reason));

  for (const [code, message, reason] of [
    ['ROCKETMQ_TOPIC_NOT_FOUND', '', 'TOPIC_NOT_FOUND'],
    ['ROCKETMQ_CONNECTION', '', 'BROKER_UNREACHABLE'],
    ['ROCKETMQ_REQUEST_TIMEOUT', '', 'BROKER_UNREACHABLE'],
    [
      'ROCKETMQ_PERMISSION',
      'was refused: org.apache.rocketmq.acl.common.AclException: check signature failed for accessKey=x',
      'EVENT_SOURCE_AUTHN_ERROR',
    ],
    [
      'ROCKETMQ_PERMISSION',
      'was refused: No default permission for orders. Check accessKey and secretKey of the cluster',
      'EVENT_SOURCE_AUTHZ_ERROR',
    ],
    ['ROCKETMQ_ADDRESS_REFUSED', '', 'ADDRESS_REFUSED'],
    ['ROCKETMQ_ROUTE_REFUSED', '', 'ROUTE_REFUSED'],
    ['ROCKETMQ_PEER_FLOOD', '', 'BROKER_UNREACHABLE'],
    ['ROCKETMQ_STATIC_TOPIC', '', 'ESM_CONFIG_NOT_VALID'],
    ['ROCKETMQ_UNEQUAL_SUBSCRIPTIONS', '', 'SUBSCRIPTION_CONFLICT'],
    ['ROCKETMQ_FOREIGN_MEMBERS', '', 'FOREIGN_MEMBERS'],
    ['SOMETHING', '', 'UNKNOWN_ERROR'],
  ] as const)
    test(`from an error: ${code} is ${reason}`, () =>
      assert.equal(reasonOfError({ code, message }), reason));
});
