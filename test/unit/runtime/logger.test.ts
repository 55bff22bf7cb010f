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
