import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { tenantPrefix, WITHOUT_TENANT } from '../../src/store/tenant.ts';
import { connect, TABLE } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { itemsOfTheBuildBefore } from '../support/earlier-items.ts';

const ROOT = path.join(import.meta.dirname, '../..');
/** Names that are escaped in keys. */
const TENANT = { service: 'shop#1', stage: "dev's" };
const GROUP = { cluster: 'default', consumerGroup: 'workers' };
const at = (queueId: number) => ({ topic: 'orders', brokerName: 'broker-a', queueId });

async function scriptOfDocs(): Promise<string> {
  const page = await readFile(path.join(ROOT, 'docs/operating.md'), 'utf8');
  const [, script] = /```js\n(\/\/ roll-back\.mjs\n[\s\S]*?)```/.exec(page) ?? [];
  assert.ok(script);
  return script;
}

test('the script of docs/operating.md gives the items back to an earlier build', async (t) => {
  const database = await startDynalite();
  const client = await connect(database.endpoint);
  t.after(async () => {
    client.destroy();
    await database.stop();
  });
  const now = Date.now();
  const [store, old] = [TENANT, WITHOUT_TENANT].map((keys) =>
    createAssignmentStore(client, TABLE, { keys: keys as typeof TENANT, newToken: randomUUID }),
  ) as [ReturnType<typeof createAssignmentStore>, ReturnType<typeof createAssignmentStore>];
  for (const item of itemsOfTheBuildBefore(GROUP.consumerGroup, now))
    await client.send(new PutItemCommand({ TableName: TABLE, Item: item }));
  // A queue whose holder of the earlier build is at work: sealed, and not taken over yet.
  await old.create(GROUP, at(2), 0, 5n);
  const request = { ...GROUP, slot: 0, now, acquiredAt: now };
  const times = { leaseUntil: now + 40_000, endsAt: now + 600_000 };
  await old.acquire({ ...request, ...times, queue: at(2), holder: 'OLD' });
  await store.readPlan(GROUP);
  for (const queueId of [0, 1, 2]) await store.create(GROUP, at(queueId), 0, 999n);
  await store.slots.create(GROUP, 0);
  await store.setOperatorPause(GROUP, at(0), undefined);
  const held = await store.acquire({ ...request, ...times, slot: 1, queue: at(0), holder: 'NEW' });
  assert.ok(held.applied);
  const { fence } = held.assignment;
  await store.release({
    ...{ ...GROUP, queue: at(0), holder: 'NEW', fence },
    committedOffset: 4800n,
  });
  assert.equal((await store.list(GROUP)).length, 2, 'the third one is sealed');
  const acquireOld = (queueId: number, slot: number, holder: string) =>
    old.acquire({ ...request, ...times, slot, queue: at(queueId), holder });
  assert.equal((await acquireOld(0, 1, 'OLD-2')).applied, false);

  const fresh = { cluster: GROUP.cluster, consumerGroup: 'fresh' };
  await store.create(fresh, at(0), 0, 7n);

  const script = await scriptOfDocs();
  const run = async (phase: string, { cluster, consumerGroup }: typeof GROUP) => {
    const words = [phase, TABLE, TENANT.service, TENANT.stage, cluster, consumerGroup];
    const running = promisify(execFile)(process.execPath, ['--input-type=module', '-', ...words], {
      cwd: ROOT,
      env: {
        ...process.env,
        AWS_ENDPOINT_URL_DYNAMODB: database.endpoint,
        ...{ AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x' },
      },
    });
    running.child.stdin?.end(script);
    await running;
  };

  await run('close', fresh);
  await run('close', fresh);
  assert.equal(await old.create(fresh, at(0), 0, 999n), false);
  const requestOld = { ...request, ...times, holder: 'OLD-2', queue: at(0) };
  assert.equal((await old.acquire({ ...requestOld, ...fresh })).applied, false);
  const atWork = await store.acquire({
    ...request,
    ...fresh,
    ...times,
    queue: at(0),
    holder: 'NEW',
  });
  assert.ok(atWork.applied);
  await assert.rejects(run('open', fresh), /QUEUE#orders#broker-a#0 is held/);
  assert.equal((await old.acquire({ ...requestOld, ...fresh })).applied, false);
  await store.release({ ...fresh, queue: at(0), holder: 'NEW', fence: atWork.assignment.fence });
  await run('open', fresh);
  const opened = await old.acquire({ ...requestOld, ...fresh });
  assert.ok(opened.applied);
  assert.equal(opened.assignment.startOffset, 7n);

  for (const phase of ['close', 'close', 'open', 'open']) await run(phase, GROUP);

  const { Items } = await client.send(
    new QueryCommand({
      TableName: TABLE,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': { S: `${tenantPrefix(TENANT)}GROUP#default#workers` } },
    }),
  );
  assert.deepEqual(Items, []);
  assert.deepEqual((await old.readPlan(GROUP))?.metTopics, ['orders']);
  assert.equal((await old.standingPauses(GROUP))[0]?.reason, 'maintenance');
  assert.equal((await old.slots.list(GROUP))[0]?.lease, undefined);
  const again = await acquireOld(0, 1, 'OLD-3');
  assert.ok(again.applied);
  assert.deepEqual([again.assignment.committedOffset, again.assignment.fence], [4800n, fence + 1]);
  assert.equal((await acquireOld(1, 1, 'OLD-3')).applied, true);
  const sealed = await old.read(GROUP, at(2));
  assert.deepEqual([sealed?.lease?.holder, sealed?.operatorPause], ['OLD', undefined]);

  // The next upgrade takes everything over again.
  const next = createAssignmentStore(client, TABLE, { keys: TENANT, newToken: randomUUID });
  await next.readPlan(GROUP);
  assert.equal((await next.standingPauses(GROUP))[0]?.reason, 'maintenance');
});
