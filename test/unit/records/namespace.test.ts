import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withNamespace, withoutNamespace } from '../../../src/records/namespace.ts';

describe('names in a namespace', () => {
  for (const [plain, wire] of [
    ['orders', 'MQ_INST_1%orders'],
    ['%RETRY%workers', '%RETRY%MQ_INST_1%workers'],
    ['%DLQ%workers', '%DLQ%MQ_INST_1%workers'],
    ['other%orders', 'MQ_INST_1%other%orders'],
  ] as const)
    it(`${plain} is ${wire}`, () => {
      assert.equal(withNamespace('MQ_INST_1', plain), wire);
      assert.equal(withNamespace('MQ_INST_1', wire), wire, 'only once');
      assert.equal(withoutNamespace('MQ_INST_1', wire), plain);
    });

  for (const name of [
    'TBW102',
    'RMQ_SYS_TRACE_TOPIC',
    'SCHEDULE_TOPIC_XXXX',
    'rmq_sys_wheel_timer',
    'CID_RMQ_SYS_TRANS',
    '',
  ])
    it(`"${name}" belongs to nobody`, () => {
      assert.equal(withNamespace('MQ_INST_1', name), name);
      assert.equal(withoutNamespace('MQ_INST_1', name), name);
    });

  it('the names of another namespace stay', () => {
    for (const name of [
      'orders',
      'MQ_INST_2%orders',
      'MQ_INST_10%orders',
      '%RETRY%MQ_INST_2%workers',
    ])
      assert.equal(withoutNamespace('MQ_INST_1', name), name);
  });
});
