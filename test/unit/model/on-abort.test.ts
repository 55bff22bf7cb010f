import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onAbort } from '../../../src/model/on-abort.ts';

describe('onAbort', () => {
  it('calls each listener once, in their order', () => {
    const called: string[] = [];
    const source = new AbortController();
    onAbort(source.signal, () => called.push('first'));
    onAbort(source.signal, () => called.push('second'));
    source.abort();
    assert.deepEqual(called, ['first', 'second']);
  });

  it('calls nothing that was taken back, and nothing twice where one listener is given twice', () => {
    const called: number[] = [];
    const source = new AbortController();
    const listener = (): void => void called.push(called.length);
    const takeBack = onAbort(source.signal, listener);
    onAbort(source.signal, listener);
    takeBack();
    takeBack();
    source.abort();
    assert.deepEqual(called, [0]);
  });

  it('takes a missing signal', () => {
    onAbort(undefined, () => assert.fail('there is no signal'))();
  });

  it('keeps nothing of calls that overlap on a long-lived signal', async () => {
    const { signal } = new AbortController();
    const gone: WeakRef<object>[] = [];
    // The first one stays linked to all that came while it was there.
    const links: unknown[] = [];
    const add = signal.addEventListener.bind(signal);
    signal.addEventListener = (type: string, link: never, options: never): void => {
      links.push(link);
      add(type, link, options);
    };
    let before = (): void => {};
    for (let call = 0; call < 3; call++) {
      const held = { call };
      gone.push(new WeakRef(held));
      const takeBack = onAbort(signal, () => void held.call);
      before();
      before = takeBack;
    }
    before();
    assert.equal(links.length, 3);
    await collectGarbage();
    assert.deepEqual(
      gone.map((one) => one.deref()),
      [undefined, undefined, undefined],
    );
  });
});

async function collectGarbage(): Promise<void> {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  // A WeakRef that was made or read keeps its target until the end of the turn.
  await new Promise((resolve) => setTimeout(resolve, 1));
  (runInNewContext('gc') as () => void)();
}
