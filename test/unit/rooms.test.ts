import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RULES = path.join(ROOT, '.dependency-cruiser.mjs');
const { ROOMS } = (await import(RULES)) as { ROOMS: Record<string, string[]> };

interface Violation {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

interface Report {
  readonly summary: {
    readonly violations: readonly {
      readonly rule: { readonly name: string };
      readonly from: string;
      readonly to: string;
    }[];
  };
}

/** Checks a tree of files (path → text) by the rules of this repo, as `npm run check:imports` does. */
async function violationsOf(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<Violation[]> {
  for (const [name, text] of Object.entries({
    'tsconfig.json': '{}',
    'package.json': '{"type":"module"}',
    ...files,
  })) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  const command = path.join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const tops = [...new Set(Object.keys(files).map((name) => name.split('/')[0] as string))];
  const args = [command, '--config', RULES, '--output-type', 'json', ...tops];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: folder,
    maxBuffer: 64 * 1024 * 1024,
  });
  const { summary } = JSON.parse(stdout) as Report;
  return summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }));
}

const nouns = (place: string): string => (place.endsWith('/') ? `${place}nouns.ts` : place);
const uses = (place: string): string => (place.endsWith('/') ? `${place}uses.ts` : place);
const relative = (from: string, to: string): string => {
  const found = path.posix.relative(path.posix.dirname(from), to);
  return found.startsWith('.') ? found : `./${found}`;
};
const short = (place: string): string => place.replace(/^src\/|\/$|\.ts$/g, '');

describe('rooms', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'rooms-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('are the same in ARCHITECTURE.md and in the rules', async () => {
    const text = await readFile(path.join(ROOT, 'ARCHITECTURE.md'), 'utf8');
    const rows = [...text.matchAll(/^\| `((?:src|infra)\/[^`]*)` \|[^|]*\| ([^|]*) \|$/gm)];
    const table = rows.map(([, place = '', allowed = '']) => {
      const names = allowed.replaceAll(/\s*\([^)]*\)/g, '').split(', ');
      return [place, names.filter((name) => name !== 'nothing').sort()] as const;
    });
    assert.deepEqual(
      Object.fromEntries(table),
      Object.fromEntries(Object.entries(ROOMS).map(([place, names]) => [place, [...names].sort()])),
    );
  });

  it('let a type import through where the table allows it, and nowhere else', async () => {
    const places = Object.keys(ROOMS);
    const files: Record<string, string> = {};
    for (const place of places) files[nouns(place)] = 'export interface Noun {}\n';
    for (const place of places) {
      const imports = places
        .filter((other) => other !== place)
        .map(
          (other, at) =>
            `export type { Noun as Noun${at} } from '${relative(uses(place), nouns(other))}';\n`,
        );
      files[uses(place)] = `${files[uses(place)] ?? ''}${imports.join('')}`;
    }
    const reported = (await violationsOf(path.join(folder, 'rooms'), files))
      .filter(({ rule }) => rule.endsWith('-imports'))
      .map(({ from, to }) => `${from} → ${to}`);
    const expected = places.flatMap((place) =>
      places
        .filter((other) => other !== place && !ROOMS[place]?.includes(short(other)))
        .map((other) => `${uses(place)} → ${nouns(other)}`),
    );
    assert(expected.length > 100);
    assert.deepEqual(reported.sort(), expected.sort());
  });

  it('refuse cycles, sockets, packages and back doors', async () => {
    const tree = path.join(folder, 'planted');
    await mkdir(tree);
    await symlink(path.join(ROOT, 'node_modules'), path.join(tree, 'node_modules'));
    const found = await violationsOf(tree, {
      'src/index.ts': "export const door = 'open';\n",
      'src/decide/a.ts': "import type { B } from './b.ts';\nexport interface A { b: B }\n",
      'src/decide/b.ts': "import type { A } from './a.ts';\nexport interface B { a: A }\n",
      'src/decide/hash.ts':
        "import { createHash } from 'node:crypto';\nexport const hash = createHash('md5');\n",
      'src/decide/file.ts':
        "import { readFileSync } from 'node:fs';\nexport const text = readFileSync('x');\n",
      'src/remoting/socket.ts':
        "import { connect } from 'node:net';\nexport const socket = connect(1);\n",
      'src/remoting/byte-reader.ts': 'export const at = 0;\n',
      'src/puller/log.ts': "import pino from 'pino';\nexport const log = pino();\n",
      'src/puller/bytes.ts': "export { at } from '../remoting/byte-reader.ts';\n",
      'src/client/tool.ts': "export { run } from '../../cli/run.ts';\n",
      'src/client/gone.ts': "export { gone } from './not-there.ts';\n",
      'cli/run.ts': 'export const run = 1;\n',
      'sample/good.ts': "export { door } from '../src/index.ts';\n",
      'sample/bad.ts': "export { run } from '../cli/run.ts';\n",
      'handlers/plugin.ts': "export { plugin } from '../infra/plugin.ts';\n",
      'infra/plugin.ts': 'export const plugin = 1;\n',
    });
    const short = found.map(({ rule, from }) => `${rule}: ${from}`);
    assert.deepEqual([...new Set(short)].sort(), [
      'client-imports: src/client/tool.ts',
      'decide-node: src/decide/file.ts',
      'handlers-never-import-the-plugin: handlers/plugin.ts',
      'no-circular: src/decide/a.ts',
      'not-resolvable: src/client/gone.ts',
      'product-never-imports-tools: src/client/tool.ts',
      'puller-knows-codes-not-bytes: src/puller/bytes.ts',
      'puller-packages: src/puller/log.ts',
      'remoting-node: src/remoting/socket.ts',
      'sample-imports-the-public-door: sample/bad.ts',
    ]);
  });
});
