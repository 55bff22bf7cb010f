import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { runOwn } from '../../bench/own-process.ts';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { type EmbeddedRocketMQ, startEmbeddedRocketMQ } from '../../src/testing/index.ts';
import { connect } from '../support/databases.ts';
import { startDynalite } from '../support/dynalite.ts';
import { connectRaw } from '../support/raw-connection.ts';

const MIB = 1024 * 1024;
/** What Lambda gives a process of 512 MB; beyond it, it is killed. */
const MEMORY_MIB = 512;

interface Held {
  readonly handled: number;
  readonly baseMiB: number;
  readonly peakMiB: number;
}

/** The peak is measured in a process of its own, which Lambda's heap limit is given to. */
describe('a puller of 512 MB', () => {
  let broker: EmbeddedRocketMQ;
  let database: Awaited<ReturnType<typeof startDynalite>>;

  before(async () => {
    broker = await startEmbeddedRocketMQ({ autoCreateTopic: false });
    broker.createTopic('orders', { queues: 64 });
    broker.createGroup('bounded');
    database = await startDynalite();
  });
  after(async () => {
    await broker.stop();
    await database.stop();
  });

  async function measure(...args: readonly (string | number)[]): Promise<Held> {
    (await connect(database.endpoint)).destroy();
    const [nameServer = ''] = broker.nameServers;
    return runOwn<Held>(
      '../test/support/bounded-puller.ts',
      [nameServer, database.endpoint, ...args.map(String)],
      ['--max-old-space-size=460'],
    );
  }

  function assertBounded(what: string, { handled, baseMiB, peakMiB }: Held, wanted: number): void {
    process.stdout.write(`${what}: ${peakMiB} MiB RSS at most, ${baseMiB} before\n`);
    assert.ok(handled >= wanted, `handled ${handled} of ${wanted}`);
    assert.ok(peakMiB < MEMORY_MIB, `${peakMiB} MiB`);
  }

  it('survives 32 messages of 6 KB that expand to 60 MiB each', async () => {
    const text = Buffer.alloc(60 * MIB, 'nothing happened here\n');
    const [running] = broker.brokers;
    const connection = await connectRaw(running?.address ?? '');
    const fields = { a: 'p', b: 'orders', c: 'TBW102', d: 4, e: 0, f: 0x201, g: Date.now(), h: 0 };
    const body = zstdCompressSync(text);
    for (let sent = 0; sent < 32; sent++)
      await connection.call(310, { ...fields, i: '', j: 0, k: false, m: false }, { body });
    connection.close();
    assertBounded('32 messages that expand to 60 MiB', await measure(1, 32, 10), 32);
  });

  it('survives 64 queues of which each has a backlog', async () => {
    const client = createRocketMQClient({ nameServers: broker.nameServers });
    const body = Buffer.alloc(MIB, 'x');
    for (let queueId = 1; queueId < 64; queueId++)
      for (let sent = 0; sent < 6; sent++)
        await client.send(
          { topic: 'orders', body },
          { queue: { topic: 'orders', brokerName: 'broker-a', queueId } },
        );
    await client.close();
    assertBounded('64 queues, 378 messages of 1 MiB', await measure(64, 378, 10), 378);
  });

  it('survives mode pop with batches of 1,000 messages of 1 MiB', async () => {
    assertBounded('pop, 1,000 messages of 1 MiB', await measure(1, 1_000, 1_000, 'pop'), 1_000);
  });
});
