import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { linkSignals } from '../../../src/model/linked-signal.ts';
import { timerMs } from '../../../src/model/timer.ts';
import { Wakeup } from '../../../src/queue/wakeup.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';

test('a linked signal aborts with the reason of the first that does, and leaves no listener', () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const linked = linkSignals(one.signal, undefined, other.signal);
  other.abort('other');
  one.abort('one');
  assert.equal(linked.signal.reason, 'other');
  for (const { signal } of [one, other]) assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a linked signal of an aborted one is aborted at once', () => {
  const aborted = AbortSignal.abort('before');
  const open = new AbortController();
  assert.equal(linkSignals(open.signal, aborted).signal.reason, 'before');
  assert.equal(getEventListeners(open.signal, 'abort').length, 0);
});

test('a linked signal does not follow after unlink', () => {
  const source = new AbortController();
  const { signal, unlink } = linkSignals(source.signal);
  unlink();
  assert.equal(getEventListeners(source.signal, 'abort').length, 0);
  source.abort();
  assert.equal(signal.aborted, false);
});

test('times beyond what a timer takes wait, instead of ending at once', async () => {
  assert.equal(timerMs(Number.POSITIVE_INFINITY), 2 ** 31 - 1);
  assert.equal(timerMs(5), 5);
  const warnings: Error[] = [];
  const onWarning = (warning: Error): number => warnings.push(warning);
  process.on('warning', onWarning);
  const stop = new AbortController();
  let ended = 0;
  const sleeping = systemClock.sleep(2 ** 40, stop.signal).catch(() => {});
  void sleeping.then(() => ended++);
  const wakeup = new Wakeup();
  const waiting = wakeup.wait(Number.POSITIVE_INFINITY).then(() => ended++);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(ended, 0);
  wakeup.all();
  stop.abort();
  await Promise.all([sleeping, waiting]);
  process.off('warning', onWarning);
  assert.deepEqual(warnings, []);
});
