/** `npm run dev`: the sample service under `serverless offline` until Ctrl-C, which drains. */
import { createRocketMQClient } from '../src/client/rocketmq-client.ts';
import { humanLine } from './local/human-log.ts';
import { startOffline } from './local/offline.ts';
import { startDynamoDB, startRocketMQ } from './local/parts.ts';
import { READY_LINE, sampleTopic, serviceEnvironment } from './local/sample-service.ts';

const QUEUES = 8;

const nameServers = process.env.ROCKETMQ_NAME_SERVERS?.split(';').filter((address) => address !== '');
const endpoint = process.env.AWS_ENDPOINT_URL_DYNAMODB;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

say('serverless-rocketmq: starting the sample service; Ctrl-C drains and ends');
const [rocketmq, dynamodb] = await Promise.all([startRocketMQ({ addresses: nameServers }), startDynamoDB({ endpoint })]);
say(`${rocketmq.name} at ${rocketmq.nameServers.join(';')}, ${dynamodb.name} at ${dynamodb.endpoint}`);
if (rocketmq.own) {
  const client = createRocketMQClient({ nameServers: rocketmq.nameServers });
  await client.createTopic(sampleTopic, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  await client.close();
}

let exitCode = 0;
try {
  const service = await startOffline(
    serviceEnvironment(rocketmq.nameServers, dynamodb.endpoint),
    (line) => say(humanLine(line)),
    (line) => line.includes(READY_LINE),
  );
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  say(`ready: send messages to topic ${sampleTopic} at ${rocketmq.nameServers.join(';')}`);
  const ended = await Promise.race([interrupted, service.ended]);
  if (ended === undefined) {
    say('draining: batches in flight finish, offsets commit, leases are released');
    await service.stop();
    say('drained');
  } else {
    process.stderr.write(`the service ended by itself (${ended})\n`);
    exitCode = 1;
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  exitCode = 1;
} finally {
  await rocketmq.stop();
  await dynamodb.stop();
}
process.exit(exitCode);
