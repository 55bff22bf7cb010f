import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shell } from '../support/shell.ts';
import { missingStack } from '../support/stack.ts';

describe('the fault run', { skip: missingStack('rocketmq', 'dynamodb') }, () => {
  test('every kind of fault once, under load, without and with order', async () => {
    // With this seed the first puller is frozen for longer than its lease lasts.
    const command =
      'npm run --silent faults -- --messages 4000 --faults 10 --order none,key --seed 10 --every 3';
    const { code, stdout, output } = await shell(command);
    assert.equal(code, 0, stdout + output);
    assert.match(stdout, /\n\d+ passed, 0 failed\n$/);
  });
});
