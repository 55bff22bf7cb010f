import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import type { LagPoint, Snapshot } from '../../src/console/console-model.ts';
import { TOKEN_HEADER } from '../../src/console/guard.ts';
import { type ConsoleWorld, createConsoleWorld } from '../support/console-world.ts';
import { recorder } from '../support/puller-world.ts';
import { until } from '../support/until.ts';

interface Told {
  readonly snapshot: Snapshot | null;
  readonly history: readonly LagPoint[];
}

describe('the web console', () => {
  let world: ConsoleWorld;
  let token: string;
  before(async () => {
    world = await createConsoleWorld();
    token = /content="([\w-]{32})"/.exec(await (await fetch(world.page.url)).text())?.[1] ?? '';
  });
  after(() => world.stop());

  const at = (path: string) => new URL(path, world.page.url);
  const LETTERS = '/api/dead-letters?cluster=default&consumerGroup=workers';
  const post = (
    path: string,
    body: object,
    headers: Record<string, string> = { [TOKEN_HEADER]: token },
  ) =>
    fetch(at(path), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ cluster: 'default', consumerGroup: 'workers', ...body }),
    });
  const redrive = (body: object, headers?: Record<string, string>) =>
    post('/api/redrive', body, headers);
  /** Server-sent events, until one is as wanted. */
  async function told(wanted: (data: Told) => boolean): Promise<Told> {
    const closed = new AbortController();
    const response = await fetch(at('/events'), { signal: closed.signal });
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const data = JSON.parse(text.slice('data: '.length, end)) as Told;
        text = text.slice(end + 2);
        if (!wanted(data)) continue;
        closed.abort();
        return data;
      }
    }
    return assert.fail('the stream ended');
  }

  test('its page, styles and script, that nobody may frame and that load nothing from elsewhere', async () => {
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/console.css', 'text/css'],
      ['/console.js', 'text/javascript'],
    ] as const) {
      const response = await fetch(at(path));
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type') ?? '', new RegExp(`^${type}`));
      assert.match(
        response.headers.get('content-security-policy') ?? '',
        /default-src 'none'.*frame-ancestors 'none'/,
      );
    }
    assert.equal((await fetch(at('/../package.json'))).status, 404);
    assert.ok(world.page.url.startsWith('http://127.0.0.1:'));
  });

  test('tells queues, lag and dead letters as they are, and counts that functions send', async () => {
    await fetch(world.page.metricsUrl, {
      method: 'POST',
      body: '{"EventSource":"shop-dev/workers","InvokedBatchCount":4}',
    });
    const { snapshot, history } = await told(
      (data) => data.snapshot?.groups[0]?.counts.InvokedBatchCount === 4,
    );
    const [group] = snapshot?.groups ?? [];
    assert.deepEqual(
      [group?.consumerGroup, group?.lag, group?.deadLetters],
      ['workers', '5', { stored: '3', waiting: '3' }],
    );
    assert.deepEqual(
      group?.queues.map(({ topic, queueId, state, committed, max, lag }) => [
        topic,
        queueId,
        state,
        committed,
        max,
        lag,
      ]),
      [
        ['%RETRY%workers', 0, 'idle', '0', '0', '0'],
        ['orders', 0, 'idle', '3', '3', '0'],
        ['orders', 1, 'waiting', '0', '5', '5'],
      ],
    );
    assert.equal(history.at(-1)?.lag.workers, 5);
  });

  test('dead letters with body, keys and story', async () => {
    const { letters, more } = (await (await fetch(at(LETTERS))).json()) as {
      letters: Record<string, unknown>[];
      more: boolean;
    };
    assert.equal(more, false);
    assert.deepEqual(
      letters.map(({ keys, originTopic, bodyEncoding }) => [keys, originTopic, bodyEncoding]),
      [0, 1, 2].map((n) => [`order-${n}`, 'orders', 'utf8']),
    );
    assert.equal(letters[0]?.body, '{"orderId":0,"note":"<b>bold</b>"}');
  });

  test('redrives one, and then all that wait', async () => {
    const sentAs = (key: string) =>
      world.broker.messages('orders').filter(({ properties }) => properties.get('KEYS') === key)
        .length;
    const ofOther = await redrive({ brokerName: 'broker-a', queueId: 1, offset: '1' });
    assert.deepEqual(await ofOther.json(), { redriven: 0, skipped: [] });
    const one = await redrive({ brokerName: 'broker-a', offset: '1' });
    assert.deepEqual(await one.json(), { redriven: 1, skipped: [] });
    assert.deepEqual(['order-0', 'order-1', 'order-2'].map(sentAs), [1, 2, 1]);
    assert.deepEqual(await (await redrive({})).json(), { redriven: 3, skipped: [] });
    await told(({ snapshot }) => snapshot?.groups[0]?.deadLetters.waiting === '0');
  });

  test('pauses a group: its holders drain, nobody takes a queue; and resumes it', async () => {
    const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 1 };
    const seen = recorder();
    const holder = world.start(seen.handler, { queues: [queue] });
    await until(
      () => world.committed(queue) === world.broker.maxOffset(queue),
      'the queue is empty',
      20_000,
    );
    const before = Date.now();
    const paused = (await (await post('/api/pause', { seconds: 600 })).json()) as {
      until: number;
      queues: number;
      draining: number;
    };
    assert.deepEqual([paused.queues, paused.draining], [3, 1]);
    assert.ok(paused.until >= before + 600_000 && paused.until <= Date.now() + 600_000);
    const { queues } = await holder.report;
    assert.deepEqual(
      queues.map(({ reason }) => reason),
      ['paused'],
    );
    const { snapshot } = await told(
      (data) => data.snapshot?.groups[0]?.queues.every(({ state }) => state === 'paused') === true,
    );
    assert.deepEqual(snapshot?.groups[0]?.pause, {
      until: paused.until,
      reason: 'from the web console',
    });
    // As an operator's pause: it stands beside those of checks, and queues that appear later have it too.
    assert.deepEqual(
      (await world.store.standingPauses(world.group)).map(({ scope, until, reason }) => [
        scope,
        until,
        reason,
      ]),
      [['*', paused.until, 'from the web console']],
    );
    const handled = seen.records.length;
    await world.produce(1, 1);
    assert.deepEqual(
      (await world.start(seen.handler, { queues: [queue] }).report).queues.map(
        ({ reason }) => reason,
      ),
      ['not-acquired'],
    );
    assert.equal(seen.records.length, handled);
    assert.deepEqual(await (await post('/api/resume', {})).json(), { queues: 3 });
    const resumed = await told((data) => data.snapshot?.groups[0]?.pause === undefined);
    assert.equal(
      resumed.snapshot?.groups[0]?.queues.find(
        ({ queueId, topic }) => topic === 'orders' && queueId === 1,
      )?.lag,
      '1',
    );
    const again = world.start(seen.handler, { queues: [queue] });
    await until(
      () => world.committed(queue) === world.broker.maxOffset(queue),
      'the queue is empty again',
      20_000,
    );
    await again.stop();
  });

  test('refuses what other sites could send, and does nothing', async () => {
    for (const path of ['/api/pause', '/api/resume']) {
      assert.equal((await post(path, { seconds: 60 }, {})).status, 403);
      assert.equal(
        (
          await post(
            path,
            { seconds: 60 },
            { [TOKEN_HEADER]: token, origin: 'http://evil.example' },
          )
        ).status,
        403,
      );
    }
    assert.ok((await world.store.standingPauses(world.group)).every(({ until }) => until === 0));
    const before = world.broker.messages('orders').length;
    assert.equal((await redrive({}, {})).status, 403);
    assert.equal(
      (await redrive({}, { [TOKEN_HEADER]: token, origin: 'http://evil.example' })).status,
      403,
    );
    const { port } = new URL(world.page.url);
    const rebound = await new Promise((resolve, reject) => {
      httpRequest(
        { host: '127.0.0.1', port, path: LETTERS, headers: { host: `evil.example:${port}` } },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
        .on('error', reject)
        .end();
    });
    assert.equal(rebound, 421);
    assert.equal(
      (await fetch(at('/metrics/not-the-token'), { method: 'POST', body: '{}' })).status,
      403,
    );
    assert.equal(world.broker.messages('orders').length, before);
  });

  test('says what is wrong with a request', async () => {
    const unknown = await fetch(at('/api/dead-letters?cluster=default&consumerGroup=worker'));
    assert.equal(unknown.status, 500);
    assert.match(
      ((await unknown.json()) as { error: string }).error,
      /the service has no group "worker"/,
    );
    const headers = { 'content-type': 'application/json', [TOKEN_HEADER]: token };
    assert.equal(
      (await fetch(at('/api/redrive'), { method: 'POST', headers, body: '{' })).status,
      500,
    );
    assert.equal((await fetch(at('/api/nothing'))).status, 404);
    for (const seconds of [0, 1.5, 86_401, '60', undefined]) {
      const answer = await post('/api/pause', { seconds });
      assert.equal(answer.status, 500);
      assert.match(
        ((await answer.json()) as { error: string }).error,
        /a pause takes 1 to 86400 seconds/,
      );
    }
    assert.match(
      (
        (await (await post('/api/pause', { consumerGroup: 'worker', seconds: 1 })).json()) as {
          error: string;
        }
      ).error,
      /no group "worker"/,
    );
  });
});
