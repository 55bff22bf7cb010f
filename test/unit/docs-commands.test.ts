import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { advised, documentedCommands } from '../support/documented-commands.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'ARCHITECTURE.md',
  ...globSync('docs/**/*.md', { cwd: ROOT }),
];
/** `command` | `file`: "title" | `words` … */
const ROW = /^\| `(.+?)` \| `([\w./-]+)`(?:: "(.+)")? \| (`.+`) \|$/gm;

interface Row {
  readonly command: string;
  readonly file: string;
  readonly title: string | undefined;
  readonly words: readonly string[];
}

function rowsOf(page: string): Row[] {
  return [...page.matchAll(ROW)].map(([, command = '', file = '', title, words = '']) => ({
    ...{ command, file, title },
    words: [...words.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word),
  }));
}

/** What is wrong with a row, for people; nothing: a test has these words, and what they name is the command's own. */
function problemsOf(
  { command, file, title, words }: Row,
  scripts: Readonly<Record<string, string>>,
): string[] {
  if (!existsSync(path.join(ROOT, file))) return [`${command}: there is no ${file}`];
  const source = read(file);
  const lines = file.endsWith('.ts') ? source : source.replaceAll(/^\s*#.*$/gm, '');
  const [, , script] = /^npm (run )?([\w:]+)/.exec(command) ?? [];
  const program = script === undefined ? undefined : scripts[script]?.split(' ').at(-1);
  return [
    ...(file.endsWith('.ts') &&
    (title === undefined || !['test', 'it'].some((call) => source.includes(`${call}('${title}'`)))
      ? [`${command}: ${file} has no test "${title}"`]
      : []),
    ...words
      .filter((word) => !lines.includes(word))
      .map((word) => `${command}: ${file} does not have the words ${word}`),
    ...(script === undefined ||
    program === undefined ||
    BY_OTHERS.has(command) ||
    words.some((word) => word.includes(script) || word.includes(program))
      ? []
      : [`${command}: nothing of it is in the words ${words.join(', ')}`]),
  ];
}

/** Run by another command than themselves: packing builds (prepack), and all checks are run at once. */
const BY_OTHERS = new Set(['npm run build', 'npm run check:imports']);

describe('test/COMMANDS.md', () => {
  const rows = rowsOf(read('test/COMMANDS.md'));
  const documented = new Map(
    PAGES.flatMap((page) =>
      documentedCommands(read(page)).map((command) => [command, page] as const),
    ),
  );

  test('knows every command of the documents, each once', () => {
    assert.ok(documented.size > 30, `${documented.size} commands were read`);
    const known = rows.map(({ command }) => command);
    assert.deepEqual(
      [...documented]
        .filter(([command]) => !known.includes(command))
        .map(([command, page]) => `${page}: ${command}`),
      [],
      'add a row with the test that runs it',
    );
    assert.deepEqual(
      known.filter((command) => !documented.has(command)),
      [],
      'these are in no document any more',
    );
    assert.equal(new Set(known).size, known.length);
  });

  test('names tests that there are, with the words by which they run it', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    assert.deepEqual(
      rows.flatMap((row) => problemsOf(row, scripts)),
      [],
    );
  });
});

describe('commands are found', () => {
  test('in blocks without their remarks, and in the text when they begin with a program', () => {
    const page = [
      '```sh\nnpm ci && npm start     # all\nnpx serverless deploy\n```',
      '```ts\nnpm run no\n```',
      '```\nserverless rocketmq status      in the folder\n```',
      'Text with `npm run dev`, `mqadmin`, `serverless.yml`, `npm run …`, `node_modules` and `mqadmin a -b`, twice: `npm run dev`.',
    ].join('\n');
    assert.deepEqual(documentedCommands(page), [
      'npm ci',
      'npm start',
      'npx serverless deploy',
      'serverless rocketmq status',
      'npm run dev',
      'mqadmin a -b',
    ]);
  });

  test('and advice for people in a hurry, in words', () => {
    const page =
      '## In a hurry\n\n| | |\n| --- | --- |\n| Stop | `pause --reason "it rains"`; `resume` |\n\n## Next\n| `no` |\n';
    assert.deepEqual(advised(page), [['pause', '--reason', 'it rains'], ['resume']]);
  });

  test('a row that is no longer true is told', () => {
    const row = {
      command: 'npm run docs',
      file: 'test/unit/docs.test.ts',
      title: 'link to files and headings that exist',
      words: ['npm run docs'],
    };
    const scripts = { docs: 'node cli/docs.ts' };
    assert.deepEqual(problemsOf(row, scripts), []);
    assert.deepEqual(problemsOf({ ...row, file: 'test/no.ts' }, scripts), [
      'npm run docs: there is no test/no.ts',
    ]);
    assert.equal(problemsOf({ ...row, title: 'no such' }, scripts).length, 1);
    assert.equal(problemsOf({ ...row, words: ['npm run cods'] }, scripts).length, 2);
    assert.equal(problemsOf({ ...row, words: ['README.md'] }, scripts).length, 1);
  });
});
