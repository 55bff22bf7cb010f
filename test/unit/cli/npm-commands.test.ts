import assert from 'node:assert/strict';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { shell } from '../../support/shell.ts';
import { missingPythonTools, missingStack } from '../../support/stack.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** What README and CONTRIBUTING tell people to type, where nothing else runs it. */
describe('npm commands', () => {
  test('npm test -- WORD … runs the files whose path contains one of the words, and counts them', async () => {
    const { code, stdout, output } = await shell(
      'npm test -- unit/records/namespace unit/requests/pop',
    );
    assert.equal(code, 0, output);
    assert.deepEqual([...stdout.matchAll(/── (\S+)/g)].map(([, file]) => file).sort(), [
      'test/unit/records/namespace.test.ts',
      'test/unit/requests/pop.test.ts',
    ]);
    assert.match(stdout, /^\d+ passed, 0 failed\n$/m);
    const none = await shell('npm test -- no/such/file');
    assert.deepEqual(
      [none.code, /no test file's path contains "no\/such\/file"/.test(none.output)],
      [1, true],
    );
  });

  test('npm run fix formats, and mends what lint can', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'fix-'));
    try {
      for (const file of ['package.json', 'biome.json', '.gitignore'])
        copyFileSync(path.join(ROOT, file), path.join(folder, file));
      symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
      writeFileSync(
        path.join(folder, 'a.ts'),
        'import { b, a }   from "./b.ts"\nexport const c = [ a,b ]\n',
      );
      const { code, output } = await shell('npm run fix', {}, folder);
      assert.equal(code, 0, output);
      assert.equal(
        readFileSync(path.join(folder, 'a.ts'), 'utf8'),
        "import { a, b } from './b.ts';\nexport const c = [a, b];\n",
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('npm run bench -- PART measures that part alone, and says which there are', async () => {
    const { code, stdout, output } = await shell('npm run bench -- bundle');
    assert.equal(code, 0, output);
    for (const what of ['coordinator', 'puller'])
      assert.match(stdout, new RegExp(`cold import, ${what} +\\d+ ms`));
    assert.doesNotMatch(stdout, /messages\/s/);
    const [, file = ''] = /written to (bench\/results\/\S+)/.exec(stdout) ?? [];
    rmSync(path.join(ROOT, file));
    const help = await shell('npm run bench -- --help');
    assert.match(help.stdout, /throughput .*\n +latency /);
  });

  test('npm run stack:install leaves what is there', {
    skip: missingStack('rocketmq', 'dynamodb') || missingPythonTools(),
  }, async () => {
    const { code, stdout, output } = await shell('npm run stack:install');
    assert.equal(code, 0, output);
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .filter((line) => !/^>|^$|: already there$/.test(line)),
      [],
    );
  });

  test('npm run test:matrix says which version is missing, and how it comes', async () => {
    const matrix = await shell('npm run test:matrix -- 1.2.3 --quick');
    assert.equal(matrix.code, 1, matrix.output);
    assert.match(
      matrix.output,
      /RocketMQ 1\.2\.3 missing: npm run stack:install -- --rocketmq 1\.2\.3/,
    );
  });
});
