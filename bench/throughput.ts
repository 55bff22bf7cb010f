import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { cacheFolder } from '../cli/stack/cache.ts';
import { jsonLines, runJava } from '../test/support/java.ts';
import { runOwn } from './own-process.ts';
import { median, type Place } from './report.ts';

const MESSAGES = 300_000;
const BODY_BYTES = 256;
const QUEUES = 8;
const ROUNDS = 3;
const BATCH = 32;
const ALI_ONS = ['ali-ons@3.12.0', 'urllib@2'];

interface Consumed {
  readonly messages: number;
  readonly seconds: number;
}

/** Messages per second from the first to the last of a backlog: ours (inline handler), Java's push consumer, ali-ons; taking turns, median of three. */
export async function measureThroughput({
  nameServer,
  endpoint,
  client,
  note,
}: Place): Promise<void> {
  const topic = 'bench-throughput';
  await client.createTopic(topic, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  await runJava('Produce', [nameServer, topic, String(MESSAGES), String(BODY_BYTES), '64']);
  const modules = installAliOns();
  const contenders: Readonly<Record<string, (round: number) => Promise<Consumed | undefined>>> = {
    'serverless-rocketmq, inline handler, batch 32': (round) =>
      runOwn<Consumed>('./own-consumer.ts', [
        nameServer,
        endpoint,
        topic,
        String(MESSAGES),
        String(BATCH),
        `own-${round}`,
      ]),
    'Java DefaultMQPushConsumer, batch 32': async (round) =>
      jsonLines<Consumed>(
        await runJava(
          'ConsumeBench',
          [nameServer, topic, String(MESSAGES), String(BATCH), `java-${round}`],
          '512m',
        ),
      )[0],
    'Java DefaultMQPushConsumer, batch 1': async (round) =>
      jsonLines<Consumed>(
        await runJava(
          'ConsumeBench',
          [nameServer, topic, String(MESSAGES), '1', `java-one-${round}`],
          '512m',
        ),
      )[0],
    ...(modules === undefined
      ? {}
      : {
          'ali-ons 3.12.0, parallelConsumeLimit 32': (round) =>
            runOwn<Consumed>('./ali-ons.cjs', [
              modules,
              nameServer,
              topic,
              String(MESSAGES),
              `ali-${round}`,
            ]),
        }),
  };
  const rates = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, run] of Object.entries(contenders)) {
      const result = await run(round).catch(
        (error: unknown) => void process.stderr.write(`${name}: ${String(error)}\n`),
      );
      if (result !== undefined)
        rates.set(name, [...(rates.get(name) ?? []), result.messages / result.seconds]);
    }
  for (const [name, values] of rates)
    note({ what: `throughput, ${name}`, value: Math.round(median(values)), unit: 'messages/s' });
}

/** Not a dependency of the project: fetched beside the stack when the bench first wants it. */
function installAliOns(): string | undefined {
  const folder = path.join(cacheFolder(), 'ali-ons');
  const modules = path.join(folder, 'node_modules');
  if (existsSync(path.join(modules, 'ali-ons'))) return modules;
  const { status } = spawnSync(
    'npm',
    ['install', '--prefix', folder, '--no-audit', '--no-fund', ...ALI_ONS],
    { stdio: 'ignore' },
  );
  return status === 0 ? modules : undefined;
}
