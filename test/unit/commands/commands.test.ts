import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../../infra/commands/all-commands.ts';
import type { CommandRun } from '../../../infra/commands/command.ts';
import {
  COMMON,
  parseDuration,
  parseTime,
  requestArguments,
} from '../../../infra/commands/options.ts';
import { confirm, watched } from '../../../infra/commands/run-command.ts';
import { rocketmqCommands } from '../../../infra/commands/serverless-commands.ts';
import { duration, instant, textTable } from '../../../infra/commands/text-table.ts';
import { STATE_REASONS } from '../../../src/decide/state/state-reason.ts';
import { CHECKS } from '../../../src/operator/doctor.ts';
import { OperatorError } from '../../../src/operator/operator-error.ts';

const NOW = Date.parse('2026-11-23T12:00:00Z');

describe('times and durations', () => {
  for (const [text, at] of [
    ['now', NOW],
    ['10m', NOW - 600_000],
    ['7d', NOW - 7 * 86_400_000],
    ['2026-11-23', Date.parse('2026-11-23T00:00:00Z')],
    ['2026-11-23T11:30', NOW - 1_800_000],
    ['2026-11-23 11:30:00.250', NOW - 1_799_750],
    ['2026-11-23T12:00+01:00', NOW - 3_600_000],
    ['1795435200000', 1_795_435_200_000],
  ] as const)
    test(`${text} is a time`, () => assert.equal(parseTime('since', text, NOW), at));
  for (const text of ['', 'yesterday', '10', '10 m', '2026-13-01', '2026-11-23T25:00', '12:00'])
    test(`${JSON.stringify(text)} is none`, () =>
      assert.throws(
        () => parseTime('since', text, NOW),
        (error) =>
          error instanceof OperatorError && error.message.startsWith(`--since is "${text}"`),
      ));
  test('durations have a unit', () => {
    assert.deepEqual(
      ['30s', '10m', '2h', '1d'].map((text) => parseDuration('for', text)),
      [30_000, 600_000, 7_200_000, 86_400_000],
    );
    for (const text of ['30', 'm', '-1m', '1w'])
      assert.throws(() => parseDuration('for', text), OperatorError);
  });
  test('a request has what is given, as numbers, and nothing of the command line itself', () => {
    const values = {
      json: true,
      yes: true,
      table: 't',
      for: '2m',
      since: '10m',
      topic: 'orders',
      id: [],
      'dry-run': false,
      all: true,
    };
    assert.deepEqual(requestArguments(values, Object.keys(values), NOW), {
      for: 120,
      since: NOW - 600_000,
      topic: 'orders',
      all: true,
    });
  });
});

describe('texts', () => {
  test('columns are as wide as their widest cell, numbers stand at the right, no line ends blank', () => {
    const table = textTable(
      [{ title: 'NAME' }, { title: 'N', right: true }, { title: 'X' }],
      [
        ['é', '1', ''],
        ['longer', '1000', 'y'],
      ],
    );
    assert.equal(table, ['NAME       N  X', 'é          1', 'longer  1000  y'].join('\n'));
  });
  test('durations for people', () => {
    assert.deepEqual([400, 12_000, 200_000, 18_720_000, 273_600_000].map(duration), [
      '0.4 s',
      '12 s',
      '3 min 20 s',
      '5 h 12 min',
      '3 d 4 h',
    ]);
    assert.equal(instant(NOW), '2026-11-23T12:00:00Z');
  });
});

describe('questions and looks', () => {
  const written: string[] = [];
  const abort = new AbortController();
  const run = (
    values: CommandRun['values'],
    ask?: (question: string) => Promise<string>,
  ): CommandRun => ({
    operator: { request: () => assert.fail('nothing is asked for'), close: async () => {} },
    terminal: {
      out: { write: (text: string) => written.push(text) },
      err: { write: () => {} },
      signal: abort.signal,
      ask,
      now: () => NOW,
      sleep: async () => {
        if (written.length === 3) abort.abort();
      },
    },
    values,
    json: values.json === true,
    args: {},
  });
  const refusal = (error: unknown) =>
    error instanceof OperatorError && error.code === 'ROCKETMQ_OPERATOR_NOT_CONFIRMED';
  test('yes goes on, everything else does not', async () => {
    for (const answer of ['y', 'Yes', ' yes '])
      await confirm(
        run({}, async () => answer),
        'Sure?',
      );
    for (const answer of ['', 'n', 'yeah', 'j'])
      await assert.rejects(
        confirm(
          run({}, async () => answer),
          'Sure?',
        ),
        refusal,
      );
    await assert.rejects(confirm(run({}), 'Sure?'), refusal);
    await assert.rejects(
      confirm(
        run({ json: true }, async () => 'y'),
        'Sure?',
      ),
      refusal,
    );
    await confirm(run({ yes: true }), 'Sure?');
  });
  test('--watch looks again until it is interrupted', async () => {
    let looks = 0;
    await watched(run({ watch: true }), async () => `look ${++looks}`);
    assert.deepEqual(written, ['look 1\n', 'look 2\n', 'look 3\n']);
  });
});

describe('docs/operating.md', async () => {
  const text = await readFile(path.join(import.meta.dirname, '../../../docs/operating.md'), 'utf8');
  test('names every command, reason and check', () => {
    for (const { words } of COMMANDS)
      assert.ok(
        words.every((word) => new RegExp(`\\b${word}\\b`).test(text)),
        words.join(' '),
      );
    for (const reason of STATE_REASONS)
      if (reason !== 'UNKNOWN_ERROR') assert.ok(text.includes(reason), reason);
    for (const check of CHECKS) assert.ok(text.includes(check), check);
  });
  test('names no option that there is not', () => {
    const known = new Set(
      COMMANDS.flatMap(({ options }) => Object.keys({ ...COMMON, ...options })),
    );
    const ofNpx = [
      'service',
      'stage',
      'region',
      'profile',
      'aws-profile',
      'function',
      'service-file',
    ];
    const ofAws = ['function-name', 'cli-binary-format', 'payload'];
    for (const [, name = ''] of text.matchAll(/--([a-z][a-z-]*)/g))
      assert.ok(known.has(name) || [...ofNpx, ...ofAws].includes(name), `--${name}`);
  });
});

test('Serverless gets every command in its place', () => {
  const { rocketmq } = rocketmqCommands();
  assert.deepEqual(Object.keys(rocketmq.commands?.dlq?.commands ?? {}), [
    'list',
    'peek',
    'redrive',
    'export',
    'drop',
  ]);
  assert.deepEqual(rocketmq.commands?.status?.lifecycleEvents, ['run']);
  // Names that Serverless has for itself may not be taken.
  for (const { options } of COMMANDS)
    for (const name of Object.keys(options))
      assert.ok(
        ![
          'stage',
          'region',
          'config',
          'param',
          'verbose',
          'debug',
          'help',
          'version',
          'app',
          'org',
        ].includes(name),
        name,
      );
});
