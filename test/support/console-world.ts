import { startConsole } from '../../src/console/start-console.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { source, subscription } from './coordinator-world.ts';
import { createPullerWorld, GROUP, recorder } from './puller-world.ts';

/** A console over an embedded broker and dynalite, with three dead letters and a queue that nobody works. */
export async function createConsoleWorld() {
  const world = await createPullerWorld();
  await world.prepare(2);
  await world.produce(3, 0, (n) => ({
    keys: [`order-${n}`],
    body: Buffer.from(`{"orderId":${n},"note":"<b>bold</b>"}`),
  }));
  const rejects = recorder(({ Records }) => ({
    batchItemFailures: Records.map(({ messageId }) => ({
      itemIdentifier: messageId,
      action: 'dlq',
    })),
  }));
  const puller = world.start(rejects.handler);
  while (world.committed() !== 3n) await systemClock.sleep(10);
  await puller.stop();
  await world.produce(5, 1);
  const page = await startConsole({
    service: {
      service: 'shop',
      stage: 'dev',
      clusters: { default: { nameServers: world.broker.nameServers } },
      sources: [source([subscription('orders')], { consumerGroup: GROUP })],
    },
    clients: () => world.client,
    store: world.store,
    clock: systemClock,
  });
  return {
    ...world,
    page,
    async stop() {
      await page.stop();
      await world.stop();
    },
  };
}

export type ConsoleWorld = Awaited<ReturnType<typeof createConsoleWorld>>;
