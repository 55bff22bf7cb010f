import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { lostSettings, SETTINGS } from '../../infra/inline-settings.ts';
import type { FunctionDefinition, Provider } from '../../infra/serverless-api.ts';

const PULLER: FunctionDefinition = { memorySize: 512, architecture: 'arm64' };
const told = (
  orders: FunctionDefinition,
  provider: Partial<Provider> = {},
  puller: FunctionDefinition = PULLER,
) => lostSettings(['orders'], { orders, rocketmqPuller: puller }, provider as Provider);

/** Settings of functions in serverless.yml that are not about calls with messages, and why others are not lost. */
const NOT_LOST: Readonly<Record<string, string>> = {
  handler: 'is bundled',
  timeout: 'counts for each call',
  environment: 'the puller has it; values that differ are refused',
  role: 'is refused',
  image: 'is refused: there is no source to bundle',
  package: 'an artifact is refused, nothing else of it counts for bundles',
  ...Object.fromEntries(
    ['condition', 'dependsOn', 'description', 'tags', 'versionFunction', 'recursiveLoop'].map(
      (name) => [name, 'of the function as a resource'],
    ),
  ),
  ...Object.fromEntries(
    [
      ...['destinations', 'maximumEventAge', 'maximumRetryAttempts', 'onError'],
      ...['url', 'httpApi', 'durableConfig', 'snapStart'],
    ].map((name) => [name, 'of other ways to invoke the function']),
  ),
};

describe('settings of a function whose handler is inline', () => {
  test('each one that the framework knows holds, is refused or is named', () => {
    const file = createRequire(import.meta.url).resolve('serverless/lib/plugins/aws/provider.js');
    const source = readFileSync(file, 'utf8');
    const [, properties = ''] =
      /\n {8}function: \{\n {10}properties: \{\n([\s\S]*?)\n {10}\}/.exec(source) ?? [];
    const names = [...properties.matchAll(/^ {12}(\w+):/gm)].map(([, name]) => name as string);
    assert.ok(names.length > 25, String(names));
    for (const name of names)
      assert.ok(name in SETTINGS !== name in NOT_LOST, `${name} is in one of both lists`);
  });

  test('those that the puller does not have are named, with what to do', () => {
    for (const [setting, expected] of [
      [
        { memorySize: 2048 },
        /^functions\.orders\.memorySize is 2048, .* which has 512: raise custom\.rocketmq\.puller\.memorySize, or use invocation: function$/,
      ],
      [{ reservedConcurrency: 0 }, /reservedConcurrency is 0, .* has none: set maximumConcurrency/],
      [
        { vpc: { subnetIds: ['s'] } },
        /vpc is \{"subnetIds":\["s"\]\}, .* has none: set custom\.rocketmq\.vpc/,
      ],
      [{ layers: ['arn'] }, /layers is \["arn"\]/],
      [{ tracing: 'Active' }, /tracing is "Active"/],
      [
        { architecture: 'x86_64' },
        /architecture is "x86_64", .* which has "arm64": use invocation/,
      ],
      [{ logs: { logFormat: 'JSON' } }, /logs is \{"logFormat":"JSON"\}/],
      [{ logRetentionInDays: 1 }, /set custom\.rocketmq\.logging/],
      [
        { environment: { ROCKETMQ_TABLE: 'x' } },
        /environment\.ROCKETMQ_TABLE is a variable of the puller/,
      ],
      [{ environment: { POWERTOOLS_METRICS_DISABLED: 'true' } }, /POWERTOOLS_METRICS_DISABLED/],
    ] as const) {
      const [text, ...others] = told(setting as FunctionDefinition);
      assert.deepEqual(others, []);
      assert.match(text ?? '', expected);
    }
  });

  test('those that it has as well are not', () => {
    const vpc = { subnetIds: ['s'], securityGroupIds: ['g'] };
    assert.deepEqual(told({ timeout: 900, memorySize: 512, environment: { BUCKET: 'b' } }), []);
    assert.deepEqual(told({ memorySize: 256, tracing: 'PassThrough' }), []);
    assert.deepEqual(told({ vpc, layers: ['l'] }, { vpc, layers: ['l'] }), []);
    assert.deepEqual(told({ vpc }, {}, { ...PULLER, vpc }), []);
    assert.deepEqual(told({ tracing: 'Active' }, { tracing: { lambda: true } }), []);
    assert.deepEqual(told({ runtime: 'nodejs24.x' }, { runtime: 'nodejs24.x' }), []);
    assert.equal(told({ vpc: false }, { vpc }).length, 1, 'opting out is lost, too');
    assert.deepEqual(lostSettings([], { orders: { memorySize: 2048 } }, {} as Provider), []);
  });
});
