import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from '../../infra/commands/all-commands.ts';
import type { Operator, Terminal } from '../../infra/commands/command.ts';
import { runCommand } from '../../infra/commands/run-command.ts';
import { takeSnapshot } from '../../src/console/take-snapshot.ts';
import { eventSourceName, METRIC_GROUPS } from '../../src/model/metrics.ts';
import { requestForLog } from '../../src/operator/request-log.ts';
import { runOperator } from '../../src/operator/run-operator.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { createEmfMeter } from '../../src/runtime/emf-metrics.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';
import { startInProcess } from '../support/in-process-service.ts';
import { createOperatorWorld } from '../support/operator-world.ts';
import { until } from '../support/until.ts';

const MARK = 'IBAN-DE02-marked';
const SECRET = 'swordfish-marked';
/** Commands that show messages are asked for contents, and are left out. */
const WITHOUT_CONTENTS = ['status', 'pause', 'resume', 'dlq list', 'dlq redrive', 'dlq drop'];
const MORE = ['doctor', 'connections', 'send', 'cost', 'config', 'tail'];

test('no output of a run has bodies, properties or secrets: puller, coordinator, operator, commands, console, metrics', async (t) => {
  const world = await createOperatorWorld();
  t.after(() => world.stop());
  const output: string[] = [];
  const log = (fields: object, message: string): void => {
    output.push(
      `${message} ${JSON.stringify(fields, (_, value) => {
        if (value instanceof Error) return `${value.stack}`;
        return typeof value === 'bigint' ? String(value) : value;
      })}`,
    );
  };
  const logger = { debug: log, info: log, warn: log, error: log, child: () => logger } as Logger;
  for (const tags of ['good', 'bad'])
    await world.client.send(
      {
        ...{ topic: 'orders', tags, body: Buffer.from(MARK), keys: [MARK], shardingKey: MARK },
        properties: { customer: MARK },
      },
      { queue: world.queue(0) },
    );
  const cluster = {
    nameServers: world.broker.nameServers,
    credentials: { accessKey: 'shop', secretKey: SECRET, securityToken: SECRET },
    tls: { enabled: false, clientKey: `-----BEGIN PRIVATE KEY-----\n${SECRET}` },
  };
  const deps = {
    ...world.deps,
    service: { ...world.deps.service, clusters: { default: cluster } },
  };
  const metrics: string[] = [];
  const meter = createEmfMeter(
    { EventSource: eventSourceName('shop', 'dev', 'default', world.group.consumerGroup) },
    { clock: systemClock, groups: METRIC_GROUPS, write: (line) => metrics.push(line), flushMs: 0 },
  );
  let handled = 0;
  const service = startInProcess({
    ...{ client: world.client as Parameters<typeof startInProcess>[0]['client'], logger },
    ...{ meter },
    ...{ dynamodb: world.dynamodb, nameServer: world.broker.nameServers[0] ?? '' },
    source: world.config,
    handler: (event) => {
      handled += Object.keys(event).length;
      throw new Error('refused');
    },
    options: { renewIntervalMs: 100, idleTimeoutMs: 60_000 },
  });
  await until(() => handled > 0, 'a handler was called');

  const operator: Operator = {
    async request(command, args) {
      const request = { version: 1, command, args };
      log({ request: requestForLog(request) }, 'operator request');
      return runOperator(deps, request);
    },
    close: async () => {},
  };
  const stream = { write: (text: string) => output.push(text) };
  const terminal: Terminal = {
    ...{ out: stream, err: stream, ask: undefined, now: Date.now, sleep: async () => {} },
    signal: new AbortController().signal,
  };
  for (const command of COMMANDS.filter(({ words }) =>
    [...WITHOUT_CONTENTS, ...MORE].includes(words.join(' ')),
  ))
    for (const json of [false, true]) {
      const sends = command.words[0] === 'send';
      await runCommand(
        command,
        {
          ...{ json, yes: true, once: true },
          ...(sends ? { topic: 'orders', body: MARK, property: [`customer=${MARK}`] } : {}),
        },
        async () => operator,
        terminal,
      );
    }
  output.push(JSON.stringify(await takeSnapshot({ ...deps, store: world.store }, () => ({}))));
  await service.end();
  assert.ok(metrics.length > 2, `${metrics.length} metrics`);
  output.push(...metrics);
  assert.ok(output.some((line) => line.startsWith('operator request')));
  assert.ok(output.length > 20, `${output.length} lines`);
  assert.deepEqual(
    output.filter((line) => [MARK, SECRET].some((mark) => line.includes(mark))),
    [],
  );
});
