/** `npm run bench [-- throughput latency table memory bounded growth bundle]`: measures this consumer beside Java's and ali-ons, on one broker in one run. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readArguments } from '../cli/arguments.ts';
import { createRocketMQClient } from '../src/client/rocketmq-client.ts';
import { startDynamoDBLocal } from '../test/support/dynamodb-local.ts';
import { startRealRocketMQ } from '../test/support/real-rocketmq.ts';
import { missingStack } from '../test/support/stack.ts';
import { measureBounded } from './bounded.ts';
import { measureBundles } from './bundles.ts';
import { measureGrowth } from './growth.ts';
import { measureLatency } from './latency.ts';
import { measureMemory } from './memory.ts';
import { type Row, table } from './report.ts';
import { measureTableUse } from './table-use.ts';
import { measureThroughput } from './throughput.ts';

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));
const PARTS = ['throughput', 'latency', 'table', 'memory', 'bounded', 'growth', 'bundle'] as const;

const { words: wanted, refuse } = readArguments({
  help: `usage: npm run bench [-- PART …]

  throughput   messages per second of a backlog, beside Java's consumer and ali-ons (minutes)
  latency      from send to handler, beside Java's consumer (a minute)
  table        reads and writes of the table per queue and hour (a minute)
  memory       of a puller with a slow handler over a backlog of 400 MiB (a minute)
  bounded      peak of a puller of 512 MB under loads that would fill it (minutes, 2 GB on disk)
  growth       of the heap over 500,000 messages in each mode (half an hour)
  bundle       sizes of the Lambda bundles and their cold import
All of them when none is named. Figures are written to bench/results/.`,
  options: {},
  words: [0, PARTS.length],
});
const unknown = wanted.filter((part) => !(PARTS as readonly string[]).includes(part));
if (unknown.length > 0) refuse(`bench knows ${PARTS.join(', ')}, not ${unknown.join(', ')}`);
const runs = (part: (typeof PARTS)[number]): boolean =>
  wanted.length === 0 || wanted.includes(part);
const missing = missingStack('rocketmq', 'dynamodb');
if (missing !== false && wanted.join() !== 'bundle') {
  process.stderr.write(`${missing}\n`);
  process.exit(1);
}

const rows: Row[] = [];
const note = (row: Row): void => {
  rows.push(row);
  process.stdout.write(`${row.what}: ${row.value} ${row.unit}\n`);
};
if (missing === false && wanted.join() !== 'bundle') {
  const [rocketmq, dynamodb] = await Promise.all([startRealRocketMQ(), startDynamoDBLocal()]);
  const client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
  try {
    const place = { nameServer: rocketmq.nameServer, endpoint: dynamodb.endpoint, client, note };
    if (runs('throughput')) await measureThroughput(place);
    if (runs('latency')) await measureLatency(place);
    if (runs('table')) await measureTableUse(place);
    if (runs('memory')) await measureMemory(place);
    if (runs('bounded')) await measureBounded(place);
    if (runs('growth')) await measureGrowth(place);
  } finally {
    await client.close();
    await Promise.all([rocketmq.stop(), dynamodb.stop()]);
  }
}
if (runs('bundle')) await measureBundles(note);

process.stdout.write(`\n${table(rows)}\n`);
if (!existsSync(RESULTS)) await mkdir(RESULTS, { recursive: true });
const file = path.join(RESULTS, `${new Date().toISOString().replaceAll(':', '-')}.json`);
await writeFile(
  file,
  JSON.stringify(
    { node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model, rows },
    null,
    2,
  ),
);
process.stdout.write(`written to bench/results/${path.basename(file)}\n`);
