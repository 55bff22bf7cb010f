import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import type { RealRocketMQ } from '../support/real-rocketmq.ts';
import { startRealRocketMQ } from '../support/real-rocketmq.ts';
import { missingStack, TESTED_VERSION } from '../support/stack.ts';
import { LOCK_MAX_LIVE_MS, rocketmqContract } from './rocketmq/contract.ts';
import { DELAY_LEVELS } from './rocketmq/lab.ts';

describe(`real RocketMQ ${TESTED_VERSION}`, { skip: missingStack('rocketmq') }, () => {
  let real: RealRocketMQ;
  before(async () => {
    real = await startRealRocketMQ({
      messageDelayLevel: DELAY_LEVELS,
      jvm: [`-Drocketmq.broker.rebalance.lockMaxLiveTime=${LOCK_MAX_LIVE_MS}`],
    });
  });
  after(() => real.stop());

  rocketmqContract(() => {
    const [broker] = real.brokers;
    assert(broker);
    return { nameServer: real.nameServer, broker };
  });
});
