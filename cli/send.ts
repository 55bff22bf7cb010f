/** `npm run send -- TOPIC BODY`: messages for the service that `npm run dev` runs, or for any topic. */
import { createRocketMQClient } from '../src/client/rocketmq-client.ts';
import { addressesIn, readArguments } from './arguments.ts';
import { print, printFailure } from './print.ts';

const {
  values: options,
  words: [topic = '', body = ''],
  refuse,
} = readArguments({
  help: `usage: npm run send -- TOPIC BODY [--count N] [--tag TAG] [--key KEY] [--name-servers A;B]

  --count N            that many messages with the same body (1)
  --tag, --key         of each message
  --name-servers A;B   default: ROCKETMQ_NAME_SERVERS, else 127.0.0.1:9876`,
  options: {
    count: { type: 'string', default: '1' },
    tag: { type: 'string' },
    key: { type: 'string' },
    'name-servers': {
      type: 'string',
      default: process.env.ROCKETMQ_NAME_SERVERS ?? '127.0.0.1:9876',
    },
  },
  words: [2, 2],
});
const count = Number(options.count);
if (!Number.isInteger(count) || count < 1)
  refuse(`--count ${options.count}: give a whole number from 1 on`);
const nameServers = addressesIn(options['name-servers']);
if (nameServers === undefined)
  refuse(`--name-servers ${options['name-servers']}: give addresses such as 127.0.0.1:9876`);

const client = createRocketMQClient({ nameServers: nameServers ?? [] });
try {
  const { tag, key } = options;
  const message = {
    topic,
    body: Buffer.from(body),
    ...(tag === undefined ? {} : { tags: tag }),
    ...(key === undefined ? {} : { keys: [key] }),
  };
  for (let sent = 0; sent < count; sent++) {
    const { msgId, queue, queueOffset } = await client.send(message);
    print(
      `${msgId} is message ${queueOffset} of ${queue.topic}/${queue.brokerName}/${queue.queueId}`,
    );
  }
} catch (error) {
  printFailure(error);
  process.exitCode = 1;
} finally {
  await client.close();
}
