/** `npm start`: messages from a producer to a committed offset on local parts, a live view, and a summary that can fail. */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runLocal } from './local/run-local.ts';

const USAGE = `usage: npm start -- [--messages N] [--json] [--keep] [--broker real] [--name-servers A;B] [--dynamodb real|URL]`;

function fail(message: string): never {
  process.stderr.write(`${message}\n${USAGE}\n`);
  process.exit(2);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        messages: { type: 'string', default: '1000' },
        json: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        broker: { type: 'string', default: 'embedded' },
        'name-servers': { type: 'string' },
        dynamodb: { type: 'string', default: 'embedded' },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    return fail((error as Error).message);
  }
}

const options = readOptions();
if (options.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}
const messages = Number(options.messages);
if (!Number.isInteger(messages) || messages < 1 || messages > 10_000_000)
  fail(`--messages ${options.messages}: give a whole number from 1 to 10,000,000`);
if (!['embedded', 'real'].includes(options.broker)) fail(`--broker ${options.broker}: give real, or leave it out for the embedded one`);
if (!['embedded', 'real'].includes(options.dynamodb) && !URL.canParse(options.dynamodb))
  fail(`--dynamodb ${options.dynamodb}: give real, or a URL such as http://127.0.0.1:8000`);
const nameServers = options['name-servers']?.split(';').filter((address) => address !== '');
if (nameServers?.length === 0) fail('--name-servers: give addresses such as 127.0.0.1:9876;127.0.0.1:9877');

const started = performance.now();
const say = (line: string): void => void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
say(
  `serverless-rocketmq: ${messages} messages through ${nameServers?.join(';') ?? `${options.broker} RocketMQ`}, ${options.dynamodb} DynamoDB and serverless offline`,
);

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
process.once('SIGTERM', () => interrupted.abort(new Error('terminated')));

const exitCode = await runLocal({
  runId: randomUUID().slice(0, 8),
  messages,
  json: options.json,
  keep: options.keep,
  nameServers,
  realBroker: options.broker === 'real',
  dynamodb: options.dynamodb,
  started,
  say,
  signal: interrupted.signal,
});
process.exit(exitCode);
