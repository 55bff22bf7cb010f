import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { systemClock } from '../../../src/runtime/system-clock.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
const SCRIPT = `
  import { createLogger } from './src/runtime/logger.ts';
  const logger = createLogger({ function: 'puller', requestId: 'r-1' });
  logger.debug({}, 'not at info');
  logger.child({ queue: 't/b/0' }).info({ offset: 9007199254740993n, err: new Error('broken') }, 'hello');
  process.kill(process.pid, 'SIGKILL');`;

function lines(env: Record<string, string>): Record<string, unknown>[] {
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
  });
  return stdout
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]));
}

test('a line is JSON with its fields, and is written before the process can be killed', () => {
  const [line = {}, ...more] = lines({});
  assert.deepEqual(more, []);
  assert.equal(line.msg, 'hello');
  assert.deepEqual([line.function, line.requestId, line.queue], ['puller', 'r-1', 't/b/0']);
  assert.equal((line.err as { message: string }).message, 'broken');
});

test('texts of others cannot move a terminal’s cursor, reverse text or end a line, and keep their value', () => {
  const hostile = '\u001b]52;c;x\u0007\u009b2J\u202e\u2028\u2066\n{"_aws":1}';
  const script = `
    import { createLogger } from './src/runtime/logger.ts';
    const hostile = ${JSON.stringify(JSON.stringify(hostile))};
    createLogger({}).info({ key: JSON.parse(hostile), err: new Error(JSON.parse(hostile)) }, 'hello');`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  assert.match(stdout, /^[^\p{Cc}\p{Bidi_Control}\u2028\u2029]+\n$/u);
  const line = JSON.parse(stdout) as { key: string; err: { message: string } };
  assert.deepEqual([line.key, line.err.message], [hostile, hostile]);
});

test('texts of others are bounded in every field, the message and errors; ordinary fields stay as they are', () => {
  const script = `
    import { createLogger } from './src/runtime/logger.ts';
    const long = '\\u0000x'.repeat(500_000);
    const error = Object.assign(new Error(long), { remark: long, address: 'a:1' });
    const logger = createLogger({ function: long });
    const fields = { topic: long, [long]: 1, keys: [long, long], deep: { tags: { a: long } },
      many: Array.from({ length: 100_000 }, () => long),
      names: Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => ['name' + n, n])),
      errorMessage: 'm'.repeat(9_000), err: error };
    logger.child({ queue: long }).error(fields, long);
    const cycle = { name: 'a' };
    cycle.self = cycle;
    logger.child({ queue: 't/b/0' }).info({ cycle, at: new Date(0), offset: 9007199254740993n,
      list: ['a', 1, null, true], none: undefined, of: { b: { c: 'd' } }, text: 'x'.repeat(1_000) }, 'short');
    logger.error({ code: 'ROCKETMQ_MESSAGE_DISCARDED', bodyBase64: 'A'.repeat(100_000), properties: { p: 'v'.repeat(5_000) }, topic: long }, 'x');`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 100_000_000,
  });
  const [first = '', second = '', third = ''] = stdout.split('\n');
  assert.ok(first.length < 500_000, `${first.length} characters`);
  const line = JSON.parse(first);
  for (const text of [
    line.function,
    line.queue,
    line.topic,
    line.keys[1],
    line.deep.tags.a,
    line.err.remark,
  ])
    assert.equal(text, `${'\u0000x'.repeat(500)}… (1000000 characters)`);
  assert.ok(line.msg.length < 2_100 && line.err.message.length <= 2_000);
  assert.deepEqual([line.many.length, Object.keys(line.names).length], [101, 101]);
  assert.deepEqual([line.errorMessage.length, line.err.address], [9_000, 'a:1']);
  const { queue, at, offset, list, of, text, msg, cycle } = JSON.parse(
    second.replace('9007199254740993', '"9007199254740993"'),
  );
  assert.deepEqual(
    { queue, at, offset, list, of, text: text.length, msg, cycle: cycle.self.self.name },
    {
      queue: 't/b/0',
      at: new Date(0).toISOString(),
      offset: '9007199254740993',
      list: ['a', 1, null, true],
      of: { b: { c: 'd' } },
      text: 1_000,
      msg: 'short',
      cycle: 'a',
    },
  );
  const discarded = JSON.parse(third);
  assert.deepEqual(
    [discarded.bodyBase64.length, discarded.properties.p.length, discarded.topic.length < 1_100],
    [100_000, 5_000, true],
  );
});

test("the level is ours, else Lambda's, else info", () => {
  assert.equal(lines({ ROCKETMQ_LOG_LEVEL: 'DEBUG', AWS_LAMBDA_LOG_LEVEL: 'ERROR' }).length, 2);
  assert.equal(lines({ AWS_LAMBDA_LOG_LEVEL: 'ERROR' }).length, 0);
  assert.equal(lines({ ROCKETMQ_LOG_LEVEL: 'loud' }).length, 1);
});

test('a sleep ends with its signal, for the reason of the signal', async () => {
  const before = systemClock.now();
  await systemClock.sleep(5);
  assert.ok(systemClock.now() - before >= 4);
  const reason = new Error('enough');
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 5);
  await assert.rejects(systemClock.sleep(60_000, controller.signal), reason);
  await assert.rejects(systemClock.sleep(60_000, AbortSignal.abort(reason)), reason);
});
