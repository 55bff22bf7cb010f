// Throughput of ali-ons, the Node client of the remoting protocol: ali-ons.cjs MODULES NAMESERVER TOPIC COUNT GROUP.
const path = require('node:path');
const [modules, nameServer, topic, count, group] = process.argv.slice(2);
const { Consumer } = require(path.join(modules, 'ali-ons'));
const httpclient = require(path.join(modules, 'urllib'));
const logger = {
  info() {},
  warn() {},
  debug() {},
  error(error) {
    process.stderr.write(`${error}\n`);
  },
};
const consumer = new Consumer({
  httpclient,
  logger,
  nameSrv: nameServer,
  consumerGroup: group,
  consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
  parallelConsumeLimit: 32,
});
let [consumed, first] = [0, 0];
consumer.on('error', (error) => process.stderr.write(`${error}\n`));
consumer.subscribe(topic, '*', async () => {
  if (first === 0) first = performance.now();
  if (++consumed === Number(count)) {
    process.stdout.write(
      `${JSON.stringify({ messages: consumed, seconds: (performance.now() - first) / 1000 })}\n`,
    );
    process.exit(0);
  }
});
