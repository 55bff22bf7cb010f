import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventOptions } from '../../src/config/event-options.ts';
import { clusterOptions, groupOptions, serviceOptions } from '../../src/config/service-options.ts';
import { RequestCode } from '../../src/remoting/request-code.ts';
import { shell } from '../support/shell.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'ARCHITECTURE.md',
  ...globSync('docs/**/*.md', { cwd: ROOT }),
];

describe('the documents', () => {
  test('each request that the client sends has its row in the table of what may be repeated', () => {
    const page = read('ARCHITECTURE.md');
    const from = page.indexOf('## What may be repeated');
    const table = page.slice(from, page.indexOf('\n## ', from));
    const calls = table
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.split('|')[1] ?? '');
    const named = new Set(calls.join().match(/\d+/g));
    const defined = globSync('src/requests/*.ts', { cwd: ROOT }).flatMap((file) =>
      [...read(file).matchAll(/RequestCode\.([A-Z_\d]+)/g)].map(
        ([, name]) => name as keyof typeof RequestCode,
      ),
    );
    assert.ok(defined.length > 25, String(defined.length));
    // The long form of 310: the embedded broker reads it, no client of ours sends it.
    const sent = defined.filter((name) => name !== 'SEND_MESSAGE');
    assert.deepEqual(
      sent.filter((name) => !named.has(String(RequestCode[name]))),
      [],
    );
  });

  test('npm run docs would change nothing: the pages that it writes are as the code is', async () => {
    const pages = PAGES.filter((page) => read(page).includes('<!-- Written by npm run docs'));
    assert.ok(pages.length >= 3, pages.join(', '));
    const before = pages.map(read);
    const { code, output } = await shell('npm run docs');
    const written = pages.map(read);
    // A test mends no page, or it would pass the next time.
    for (const [index, page] of pages.entries())
      writeFileSync(path.join(ROOT, page), before[index] ?? '');
    assert.equal(code, 0, output);
    assert.deepEqual(before, written);
  });

  test('docs/idempotency.md shows the recipes as they are', () => {
    const page = read('docs/idempotency.md');
    for (const recipe of ['sample/idempotent-powertools.ts', 'sample/idempotent-dynamodb.ts']) {
      const shown = read(recipe).replace("'../src/index.ts'", "'serverless-rocketmq'");
      assert.ok(page.includes(`\`\`\`ts\n${shown}\`\`\``), recipe);
    }
  });

  test('name npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const known = new Set([...Object.keys(scripts), 'ci', 'i', 'install']);
    for (const page of PAGES)
      for (const [, name = ''] of read(page).matchAll(/npm run ([\w:]+)/g))
        assert.ok(known.has(name), `${page}: npm run ${name}`);
  });

  test('link to files and headings that exist', () => {
    for (const page of PAGES)
      for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        const [file = '', heading] = target.split('#');
        const to = file === '' ? page : path.join(path.dirname(page), file);
        assert.ok(existsSync(path.join(ROOT, to)), `${page}: ${target}`);
        if (heading !== undefined)
          assert.ok(headings(read(to)).includes(heading), `${page}: ${target}`);
      }
  });

  test('every option of custom.rocketmq says what it is', () => {
    for (const { shape } of [serviceOptions, groupOptions, clusterOptions, eventOptions])
      for (const [name, schema] of Object.entries(shape)) assert.ok(schema.description, name);
  });

  test('README knows every option of events and of custom.rocketmq', () => {
    const page = read('README.md');
    for (const name of [eventOptions, serviceOptions, groupOptions, clusterOptions].flatMap(
      ({ shape }) => Object.keys(shape),
    ))
      assert.ok(page.includes(`\`${name}`) || page.includes(`.${name}`), name);
  });
});

/** As GitHub makes anchors of them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
