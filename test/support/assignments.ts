import type { Assignment, Lease } from '../../src/model/assignment.ts';

/** A lease of slot 0 that was acquired at 0 and ends, with its invocation, at 900,000. */
export function lease(fields: Partial<Lease> = {}): Lease {
  return {
    holder: 'A',
    slot: 0,
    fence: 1,
    acquiredAt: 0,
    leaseUntil: 900_000,
    endsAt: 900_000,
    ...fields,
  };
}

/** Queue `id` of topic orders on broker-a, slot 0, free. */
export function assignment(id: number, fields: Partial<Assignment> = {}): Assignment {
  return {
    cluster: 'default',
    consumerGroup: 'workers',
    queue: { topic: 'orders', brokerName: 'broker-a', queueId: id },
    slot: 0,
    generation: 1,
    startOffset: 0n,
    fence: 1,
    ...fields,
  };
}
