import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { commonTrace, traceHeader } from '../../../src/delivery/trace-header.ts';
import type { RocketMQEvent } from '../../../src/model/event.ts';
import { TRACINGS } from '../../../src/model/source.ts';
import type { MessageHandler } from '../../../src/ports/invoke.ts';
import { deliverDirectly } from '../../../src/puller/deliver-directly.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';
import { source, subscription } from '../../support/coordinator-world.ts';
import { messageAt } from '../../support/records.ts';

const of = (properties: Record<string, string>) => traceHeader(new Map(Object.entries(properties)));

describe('the trace header of a record', () => {
  test('is the producer’s own', () => {
    const header = 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1';
    assert.equal(of({ AWSTraceHeader: header }), header);
    assert.equal(
      of({
        'X-Amzn-Trace-Id': header,
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      }),
      header,
    );
  });

  test('is made of W3C’s traceparent', () => {
    const ids = 'Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331';
    assert.equal(
      of({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }),
      `${ids};Sampled=1`,
    );
    assert.equal(
      of({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' }),
      `${ids};Sampled=0`,
    );
    assert.equal(
      of({ traceparent: '01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-later' }),
      `${ids};Sampled=1`,
    );
  });

  for (const traceparent of [
    '',
    'nonsense',
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
    '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331',
  ])
    test(`none of "${traceparent}"`, () => assert.equal(of({ traceparent }), undefined));
});

describe('the one trace of a batch', () => {
  test('is the first record’s when all are of its root', () => {
    const header = 'Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1';
    const unsampled = header.replace(';Sampled=1', '');
    assert.equal(commonTrace([header]), unsampled);
    assert.equal(commonTrace([header, header.replace('b7ad', 'aaaa')]), unsampled);
  });

  test('is none when one is of another, or of none', () => {
    const header = 'Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1';
    assert.equal(commonTrace([header, header.replace('0af7', 'aaaa')]), undefined);
    assert.equal(commonTrace([header, undefined]), undefined);
    assert.equal(commonTrace([undefined, undefined]), undefined);
    assert.equal(commonTrace(['Parent=b7ad6b7169203331']), undefined);
    assert.equal(commonTrace([]), undefined);
  });

  test('is none, or nothing but ids, of what a producer may write', () => {
    const ids = 'Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331';
    for (const bad of [
      `${ids}\r\nX-Evil: 1`,
      `${ids};Self=é`,
      `${ids};Lineage=1:aaaaaaaa:9;Sampled=1`,
      `Lineage=1:aaaaaaaa:9; ${ids}`,
      `${ids};Self=${'x'.repeat(10_000)}`,
      `${ids};\u4e2d`,
      'Root=anything',
      'Root=1-0AF76519-16cd43dd8448eb211c80319c',
    ]) {
      for (const header of [commonTrace([bad]), of({ AWSTraceHeader: bad })])
        assert.ok(
          header === undefined || `${ids};Sampled=1`.startsWith(header),
          `${bad.slice(0, 100)}: ${header}`,
        );
    }
    assert.equal(
      of({ AWSTraceHeader: `${ids};Lineage=1:aaaaaaaa:9;Sampled=1` }),
      `${ids};Sampled=1`,
    );
  });
});

test('tracing: off counts for a message that an operator has delivered, too', async () => {
  const header = 'Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1';
  const message = messageAt(1, { properties: { AWSTraceHeader: header } });
  const told: unknown[] = [];
  for (const tracing of TRACINGS) {
    const handler: MessageHandler = {
      async invoke(payload) {
        told.push((payload.event() as RocketMQEvent).Records[0]?.attributes.AWSTraceHeader);
        return { kind: 'answered', answer: undefined };
      },
    };
    await deliverDirectly(
      { clock: systemClock, handlers: () => handler },
      source([subscription('orders', { tracing })]),
      message,
    );
  }
  assert.deepEqual(told, [undefined, header, header]);
});
