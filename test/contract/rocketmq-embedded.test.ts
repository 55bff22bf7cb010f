import { after, before, describe } from 'node:test';
import type { EmbeddedRocketMQ } from '../../src/testing/index.ts';
import { startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { LOCK_MAX_LIVE_MS, rocketmqContract } from './rocketmq/contract.ts';
import { DELAY_LEVELS } from './rocketmq/lab.ts';

describe('embedded RocketMQ', () => {
  let embedded: EmbeddedRocketMQ;
  before(async () => {
    embedded = await startEmbeddedRocketMQ({
      cluster: 'TestCluster',
      messageDelayLevel: DELAY_LEVELS,
      lockMaxLiveMs: LOCK_MAX_LIVE_MS,
    });
  });
  after(() => embedded.stop());

  rocketmqContract(() => {
    const [nameServer = ''] = embedded.nameServers;
    const [broker = { name: '', address: '' }] = embedded.brokers;
    return { nameServer, broker };
  });
});
