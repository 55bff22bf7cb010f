import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BatchBuilder, batchPayload } from '../../src/delivery/batch.ts';
import { buildRecord } from '../../src/delivery/build-record.ts';
import { readAnswer } from '../../src/delivery/read-answer.ts';
import type { RocketMQRecord } from '../../src/model/event.ts';
import { EVENT_FORMATS } from '../../src/model/event-formats.ts';
import { DISTURBANCES, type Disturbance, disturb } from '../support/disturb.ts';
import { messageAt } from '../support/records.ts';

const CONTEXT = {
  cluster: 'default',
  consumerGroup: 'workers',
  topic: 'orders',
  region: 'eu-west-1',
  accountId: '123456789012',
  maxReconsumeTimes: 16,
  localRetries: 0,
  now: 0,
};
const BATCH = { batchId: 'b', attempt: 1, minOffset: '0', maxOffset: '9', lag: 0, deadline: 1 };

const disturbances: fc.Arbitrary<Disturbance[]> = fc.array(
  fc.record({ kind: fc.constantFrom(...DISTURBANCES), target: fc.nat(), other: fc.nat() }),
  { minLength: 1, maxLength: 12 },
);

function itemsOf(count: number, builder: BatchBuilder) {
  for (let at = 0; at < count; at++) {
    const properties = { UNIQ_KEY: `id-${at}`, KEYS: 'k1 k2', tenant: 'acme' };
    const message = messageAt(at, { body: Buffer.from(`{"n":${at}}`), properties });
    const build = (): RocketMQRecord => buildRecord(message, CONTEXT);
    assert.equal(builder.add(build(), build), 'added');
  }
  return builder.items;
}

/** The random part of each receiptHandle is of one delivery. */
const withoutRandom = (json: string): string => json.replace(/\.[\da-f-]{36}(?=")/g, '');

describe('what a handler does to its event', () => {
  const cases = fc.record({
    format: fc.constantFrom(...EVENT_FORMATS),
    failed: fc.array(fc.boolean(), { minLength: 1, maxLength: 6 }),
    byHandle: fc.boolean(),
    disturbances,
    again: disturbances,
  });

  it('changes neither the verdict nor another event of the same messages, whole or in part', () => {
    fc.assert(
      fc.property(cases, ({ format, failed, byHandle, disturbances, again }) => {
        const items = itemsOf(failed.length, new BatchBuilder(undefined, format));
        const undisturbed = JSON.stringify(
          batchPayload(
            itemsOf(failed.length, new BatchBuilder(undefined, format)),
            format,
            BATCH,
          ).event(),
        );
        const answer = {
          batchItemFailures: items.flatMap(({ messageId, receiptHandle }, position) =>
            failed[position] === true
              ? [{ itemIdentifier: byHandle ? receiptHandle : messageId }]
              : [],
          ),
        };
        const payload = batchPayload(items, format, BATCH);
        const first = payload.event();
        const delivered = JSON.stringify(first);
        assert.equal(withoutRandom(delivered), withoutRandom(undisturbed));
        disturb(first, disturbances);
        const verdict = readAnswer(answer, items, format);
        assert.deepEqual(
          verdict.kind === 'read' && [...verdict.failures.keys()],
          [...failed.keys()].filter((position) => failed[position]),
        );

        const second = payload.event();
        assert.equal(JSON.stringify(second), delivered);
        // The first one is kept, and changed while the second is with the handler.
        disturb(first, again);
        assert.equal(JSON.stringify(second), delivered);

        const half = items.slice(0, Math.ceil(items.length / 2));
        const fresh = itemsOf(half.length, new BatchBuilder(undefined, format));
        assert.equal(
          withoutRandom(JSON.stringify(batchPayload(half, format, BATCH).event())),
          withoutRandom(JSON.stringify(batchPayload(fresh, format, BATCH).event())),
        );
      }),
      { numRuns: 500 },
    );
  });
});
