/** `npm run test:matrix [-- VERSION …] [--quick]`: the suites that need a real RocketMQ, on every supported version or on the given ones; one plain line with the counts of all at the end. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readArguments } from './arguments.ts';
import { rocketmqPart, stampFile, TESTED_VERSIONS } from './stack/cache.ts';

/** Whatever touches a real broker; all else does not depend on its version. */
const SUITES = [
  'contract/rocketmq-real',
  'integration/real-',
  'integration/pop-mode',
  'integration/pull-consumer.',
  'integration/dead-letters',
  'integration/namespace',
  'integration/trace',
  'e2e/side-by-side',
  'e2e/whole-path',
];

/** What every request does, and one whole path beside Java's consumer: minutes instead of a quarter of an hour a version. */
const QUICK_SUITES = ['contract/rocketmq-real', 'e2e/side-by-side'];

const { values, words } = readArguments({
  help: `usage: npm run test:matrix [-- VERSION …] [--quick]

  VERSION …   of ${TESTED_VERSIONS.join(', ')} (all)
  --quick     only the contract, and the whole path beside Java's consumer`,
  options: { quick: { type: 'boolean', default: false } },
  words: [0, TESTED_VERSIONS.length],
});
const versions = words.length > 0 ? words : [...TESTED_VERSIONS];
const missing = versions.filter((version) => !existsSync(stampFile(rocketmqPart(version))));
if (missing.length > 0) {
  process.stderr.write(
    `RocketMQ ${missing.join(', ')} missing: npm run stack:install -- --rocketmq ${missing.join(',')}\n`,
  );
  process.exit(1);
}
let [passed, failed] = [0, 0];
for (const version of versions) {
  process.stdout.write(`══ RocketMQ ${version}\n`);
  const last = await runSuites(version);
  const counts = /^(\d+) passed, (\d+) failed(?:, \d+ skipped)?$/.exec(last);
  process.stdout.write(`══ RocketMQ ${version}: ${last}\n`);
  passed += Number(counts?.[1] ?? 0);
  failed += Number(counts?.[2] ?? 1);
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

/** @returns the last line that the tests printed */
async function runSuites(version: string): Promise<string> {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('./test.ts', import.meta.url)),
      ...(values.quick ? QUICK_SUITES : SUITES),
    ],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ROCKETMQ_TEST_VERSION: version },
    },
  );
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk);
    printed = (printed + chunk.toString()).slice(-10_000);
  });
  await new Promise((resolve) => child.once('close', resolve));
  return printed.trimEnd().split('\n').at(-1) ?? '';
}
