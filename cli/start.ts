/** `npm start`: messages from a producer to a committed offset on local parts, a live view, and a summary that can fail. */
import { randomUUID } from 'node:crypto';
import { addressesIn, readArguments } from './arguments.ts';
import { runLocal } from './local/run-local.ts';
import { print, printError } from './print.ts';

const { values: options, refuse } = readArguments({
  help: `usage: npm start -- [--messages N] [--json] [--keep] [--broker real] [--name-servers A;B] [--dynamodb real|URL]

Sends messages through the sample service on local parts and exits with 0 only if nothing was lost and everything is committed.
  --messages N          how many (1,000)
  --json                one JSON object, alone on stdout: npm start --silent -- --json
  --keep                stay up after the summary, until Ctrl-C
  --broker real         RocketMQ 5.5.0 instead of the embedded one (npm run stack:install fetches it)
  --name-servers A;B    your own cluster
  --dynamodb real|URL   DynamoDB Local, or any endpoint`,
  options: {
    messages: { type: 'string', default: '1000' },
    json: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    broker: { type: 'string', default: 'embedded' },
    'name-servers': { type: 'string' },
    dynamodb: { type: 'string', default: 'embedded' },
  },
});
const messages = Number(options.messages);
if (!Number.isInteger(messages) || messages < 1 || messages > 10_000_000)
  refuse(`--messages ${options.messages}: give a whole number from 1 to 10,000,000`);
if (!['embedded', 'real'].includes(options.broker))
  refuse(`--broker ${options.broker}: give real, or leave it out for the embedded one`);
if (!['embedded', 'real'].includes(options.dynamodb) && !/^https?:\/\//.test(options.dynamodb))
  refuse(`--dynamodb ${options.dynamodb}: give real, or a URL such as http://127.0.0.1:8000`);
const given = options['name-servers'];
const nameServers = given === undefined ? undefined : addressesIn(given);
if (given !== undefined && nameServers === undefined)
  refuse(`--name-servers ${given}: give addresses such as 127.0.0.1:9876;127.0.0.1:9877`);
if (nameServers !== undefined && options.broker === 'real')
  refuse('--broker real and --name-servers exclude each other: give one of them');

const started = performance.now();
const say = options.json ? printError : print;
say(
  `serverless-rocketmq: ${messages} messages through RocketMQ (${nameServers?.join(';') ?? options.broker}), DynamoDB (${options.dynamodb}) and serverless offline`,
);

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // Asked twice: at once, and what was started ends with this process.
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort(new Error('interrupted'));
  });

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
