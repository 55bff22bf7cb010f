/** `npm run dev`: the sample service under `serverless offline` until Ctrl-C, which drains. */
import { createRocketMQClient } from '../src/client/rocketmq-client.ts';
import { readArguments } from './arguments.ts';
import { humanLine } from './local/human-log.ts';
import { startOffline } from './local/offline.ts';
import { startDynamoDB, startRocketMQ } from './local/parts.ts';
import { READY_LINE, sampleTopic, serviceEnvironment } from './local/sample-service.ts';
import { print, printError, printFailure, printStyled } from './print.ts';

const QUEUES = 8;
readArguments({
  help: `usage: npm run dev

The service of this repo's serverless.yml under serverless offline until Ctrl-C, which drains.
ROCKETMQ_NAME_SERVERS and AWS_ENDPOINT_URL_DYNAMODB choose your own cluster and table endpoint instead of the embedded ones.
Handlers are bundled at the start: restart after a change.`,
  options: {},
});

const nameServers = process.env.ROCKETMQ_NAME_SERVERS?.split(';').filter(
  (address) => address !== '',
);
const endpoint = process.env.AWS_ENDPOINT_URL_DYNAMODB;

print(
  'serverless-rocketmq: starting the service of serverless.yml; Ctrl-C drains and ends. Handlers are bundled now: restart after a change',
);
const [rocketmq, dynamodb] = await Promise.all([
  startRocketMQ({ addresses: nameServers }),
  startDynamoDB({ endpoint }),
]);
print(
  `${rocketmq.name} at ${rocketmq.nameServers.join(';')}, ${dynamodb.name} at ${dynamodb.endpoint}`,
);
let exitCode = 0;
try {
  // The sample's are made before its coordinator looks; those of functions that were added are named by the ready line.
  await makeTopics([sampleTopic]);
  let topics: string[] = [sampleTopic];
  const service = await startOffline(
    serviceEnvironment(rocketmq.nameServers, dynamodb.endpoint),
    (line) => printStyled(`${humanLine(line)}\n`),
    (line) => {
      if (!line.includes(READY_LINE)) return false;
      topics = topicsIn(line);
      return true;
    },
  );
  await makeTopics(topics);
  const interrupted = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  const example = topics.includes(sampleTopic) ? `'{"orderId":1,"failTimes":0}'` : `'hello'`;
  print(
    `ready. To send a message: npm run send -- ${topics[0]} ${example} --name-servers '${rocketmq.nameServers.join(';')}'`,
  );
  const ended = await Promise.race([interrupted, service.ended]);
  if (ended === undefined) {
    print('draining: batches in flight finish, offsets commit, leases are released');
    await service.stop();
    print('drained');
  } else {
    printError(`the service ended by itself (${ended})`);
    exitCode = 1;
  }
} catch (error) {
  printFailure(error);
  exitCode = 1;
} finally {
  await rocketmq.stop();
  await dynamodb.stop();
}
process.exit(exitCode);

/** In a cluster of one's own, topics are made by those who own it. */
async function makeTopics(topics: readonly string[]): Promise<void> {
  if (!rocketmq.own) return;
  const client = createRocketMQClient({ nameServers: rocketmq.nameServers });
  for (const topic of topics)
    await client.createTopic(topic, { readQueueNums: QUEUES, writeQueueNums: QUEUES });
  await client.close();
}

/** `rocketmq: ready: group takes a, b; other takes c` */
function topicsIn(line: string): string[] {
  return [...line.matchAll(/ takes ([^;]+)/g)].flatMap(([, list = '']) =>
    list.split(',').map((topic) => topic.trim()),
  );
}
