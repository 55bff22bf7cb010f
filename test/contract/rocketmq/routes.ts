import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { it } from './it.ts';
import type { ContractTarget } from './lab.ts';
import { code, useLab } from './lab.ts';

/** Name server: 105 and 106. */
export function routeChecks(target: () => ContractTarget): void {
  describe('routes', () => {
    const lab = useLab(target);

    it('105 answers 17 for an unknown topic', async () => {
      const answer = await lab.names.call(105, { topic: 'nobody-made-this' });
      assert.equal(code(answer), 17);
      assert.match(
        answer.remark ?? '',
        /^No topic route info in name server for the topic: nobody-made-this\n/,
      );
    });

    it('105 tells brokers and queues of a new topic at once, in standard JSON from version 401 on', async () => {
      const topic = await lab.topic(3);
      const answer = await lab.names.call(105, { topic });
      assert.equal(code(answer), 0);
      assert.deepEqual(answer.extFields, {});
      const brokerAddrs = { 0: lab.brokerAddress };
      assert.deepEqual(JSON.parse(String(answer.body)), {
        brokerDatas: [
          {
            brokerAddrs,
            brokerName: lab.brokerName,
            cluster: 'TestCluster',
            enableActingMaster: false,
          },
        ],
        filterServerTable: {},
        queueDatas: [
          {
            brokerName: lab.brokerName,
            perm: 6,
            readQueueNums: 3,
            topicSysFlag: 0,
            writeQueueNums: 3,
          },
        ],
      });
    });

    it('105 writes broker ids as bare keys to older clients', async () => {
      const topic = await lab.topic();
      const answer = await lab.names.call(105, { topic }, { version: 399 });
      assert(
        String(answer.body).includes(`"brokerAddrs":{0:"${lab.brokerAddress}"}`),
        String(answer.body),
      );
    });

    it('105 writes standard JSON to older clients that ask for it', async () => {
      const topic = await lab.topic();
      const answer = await lab.names.call(
        105,
        { topic, acceptStandardJsonOnly: true },
        { version: 399 },
      );
      assert(
        String(answer.body).includes(`"brokerAddrs":{"0":"${lab.brokerAddress}"}`),
        String(answer.body),
      );
    });

    it('105 shows the permissions of a topic', async () => {
      const topic = await lab.topic(1, 4);
      const route = JSON.parse(String((await lab.names.call(105, { topic })).body)) as {
        queueDatas: { perm: number }[];
      };
      assert.deepEqual(
        route.queueDatas.map((data) => data.perm),
        [4],
      );
    });

    it('105 knows the template topic for new ones', async () => {
      const answer = await lab.names.call(105, { topic: 'TBW102' });
      assert.equal(code(answer), 0);
      const route = JSON.parse(String(answer.body)) as {
        queueDatas: { perm: number; readQueueNums: number }[];
      };
      assert.deepEqual(
        route.queueDatas.map(({ perm, readQueueNums }) => ({ perm, readQueueNums })),
        [{ perm: 7, readQueueNums: 8 }],
      );
    });

    it('106 lists clusters and brokers, with bare keys whatever the version', async () => {
      const answer = await lab.names.call(106);
      assert.equal(code(answer), 0);
      assert.equal(
        String(answer.body),
        `{"brokerAddrTable":{"${lab.brokerName}":{"brokerAddrs":{0:"${lab.brokerAddress}"},"brokerName":"${lab.brokerName}",` +
          `"cluster":"TestCluster","enableActingMaster":false}},"clusterAddrTable":{"TestCluster":["${lab.brokerName}"]}}`,
      );
    });

    it('the name server answers 3 to a request that it does not know', async () => {
      const answer = await lab.names.call(999);
      assert.equal(code(answer), 3);
      assert.equal(answer.remark, ' request type 999 not supported');
    });
  });
}
