import type { AttributeValue } from '@aws-sdk/client-dynamodb';

type Item = Record<string, AttributeValue>;

const S = (text: string): AttributeValue => ({ S: text });
const N = (number: number): AttributeValue => ({ N: String(number) });

/** A group's items as the build before service and stage were in the keys wrote them; independent of today's code. */
export function itemsOfTheBuildBefore(consumerGroup: string, now: number): Item[] {
  const pk = S(`GROUP#default#${consumerGroup}`);
  const queue = (queueId: number): Item => ({
    pk,
    sk: S(`QUEUE#orders#broker-a#${queueId}`),
    cluster: S('default'),
    consumerGroup: S(consumerGroup),
    topic: S('orders'),
    brokerName: S('broker-a'),
    queueId: N(queueId),
    slot: N(1),
    generation: N(3),
    startOffset: N(100),
    planToken: S('8b1f7c1e-7f0f-4d39-9c59-0d3b1f1f0001'),
  });
  return [
    {
      ...{ pk, sk: S('PLAN'), version: N(4), strategy: S('AVG'), slots: N(2) },
      ...{ topologyHash: S('0f3a'), metTopics: { L: [S('orders')] }, lastPassAt: N(now) },
      planToken: S('8b1f7c1e-7f0f-4d39-9c59-0d3b1f1f0002'),
    },
    {
      ...{ pk, sk: S('PAUSE#*'), scope: S('*'), until: N(now + 3_600_000), since: N(now) },
      ...{ reason: S('maintenance'), operatorToken: S('8b1f7c1e-7f0f-4d39-9c59-0d3b1f1f0003') },
    },
    {
      ...queue(0),
      ...{ fence: N(17), releasedFence: N(17), heldUntil: N(1_800_000_000_000) },
      ...{ committedOffset: N(4711), settledOffset: N(4713), maxOffset: N(5000) },
      ...{ confirmedAt: N(now - 5_000), progressAt: N(now - 5_000) },
      attempts: S('4711-4712:2'),
      batchLimits: { L: [{ M: { until: N(4720), maxMessages: N(8) } }] },
      lifeMark: { M: { offset: N(4710), storedAt: N(1_799_999_999_000) } },
      operatorPausedUntil: N(now + 3_600_000),
      operatorPausedSince: N(now),
      operatorPauseReason: S('maintenance'),
      leaseToken: S('8b1f7c1e-7f0f-4d39-9c59-0d3b1f1f0004'),
      operatorToken: S('8b1f7c1e-7f0f-4d39-9c59-0d3b1f1f0005'),
    },
    {
      ...queue(1),
      ...{ holder: S('11111111-2222-3333-4444-555555555555'), leaseSlot: N(1), fence: N(7) },
      ...{ acquiredAt: N(now - 600_000), leaseUntil: N(now - 60_000), endsAt: N(now - 1_000) },
      ...{ leaseSettings: S('5f2d'), renewal: N(31), committedOffset: N(200), maxOffset: N(260) },
      crash: { M: { offset: N(200), count: N(1), isolateUntil: N(200) } },
      leaseToken: S('8b1f7c1e-7f0f-4d39-9c59-0d3b1f1f0006'),
    },
    { ...queue(-1), fence: N(2), releasedFence: N(2) },
    {
      ...queue(0),
      pk: S(`GROUP#default#${consumerGroup}#seats`),
      sk: S('QUEUE#%SEAT%##0'),
      consumerGroup: S(`${consumerGroup}#seats`),
      ...{ topic: S('%SEAT%'), brokerName: S(''), slot: N(0), fence: N(5), releasedFence: N(5) },
    },
  ];
}
