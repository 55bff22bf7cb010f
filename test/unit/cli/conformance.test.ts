import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runConformance } from '../../../cli/conformance/run.ts';

const VECTORS = fileURLToPath(new URL('../../vectors', import.meta.url));
const COMMAND = fileURLToPath(new URL('../../../cli/conformance.ts', import.meta.url));
const FILES = ['allocation.json', 'frames.json', 'messages.json', 'acl.json', 'subscriptions.json'];

interface Outcome {
  readonly exitCode: number;
  readonly lines: readonly string[];
}

async function check(folder: string): Promise<Outcome> {
  const lines: string[] = [];
  return { exitCode: await runConformance(folder, (line) => lines.push(line)), lines };
}

async function command(...args: string[]): Promise<Outcome & { readonly errors: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [COMMAND, ...args], (_error, stdout, errors) => {
      resolve({ exitCode: child.exitCode ?? -1, lines: stdout.trimEnd().split('\n'), errors });
    });
  });
}

describe('npm run conformance', () => {
  it('passes on the vectors that Java computed', async () => {
    const { exitCode, lines } = await command(VECTORS);
    assert.equal(exitCode, 0);
    assert.equal(lines.length, 1);
    const passed = /^(\d+) passed, 0 failed$/.exec(lines[0] as string)?.[1];
    assert(Number(passed) > 450);
  });

  it('says how it is called', async () => {
    const { exitCode, errors } = await command();
    assert.equal(exitCode, 2);
    assert.match(errors, /npm run conformance -- DIR/);
  });

  it('ends with 1 and one line when the folder is not there', async () => {
    const { exitCode, lines, errors } = await command(path.join(VECTORS, 'not-there'));
    assert.equal(exitCode, 1);
    assert.match(lines[0] as string, /not-there: no such folder/);
    assert.equal(lines.at(-1), '0 passed, 0 failed');
    assert.equal(errors, '');
  });
});

type Path = readonly (string | number)[];

/** Sets what stands at the path, or takes it away. */
function set(vectors: unknown, [key, ...rest]: Path, value: unknown): void {
  const holder = vectors as Record<string | number, unknown>;
  if (key === undefined) return;
  if (rest.length > 0) set(holder[key], rest, value);
  else if (value === undefined) delete holder[key];
  else holder[key] = value;
}

describe('runConformance on damaged vectors', () => {
  const KEPT = 7;
  let root: string;
  let few: string;
  let folder: string;
  let copies = 0;

  before(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'conformance-'));
    few = path.join(root, 'few');
    await mkdir(few);
    for (const name of FILES) {
      const vectors: Record<string, unknown> = JSON.parse(
        await readFile(path.join(VECTORS, name), 'utf8'),
      );
      const cut = Object.entries(vectors).map(([key, value]) => [
        key,
        Array.isArray(value) ? value.slice(0, KEPT) : value,
      ]);
      await writeFile(path.join(few, name), JSON.stringify(Object.fromEntries(cut)));
    }
  });
  beforeEach(async () => {
    folder = path.join(root, String(copies++));
    await cp(few, folder, { recursive: true });
  });
  after(() => rm(root, { recursive: true, force: true }));

  async function damage(name: string, at: Path, value: unknown): Promise<void> {
    const file = path.join(folder, name);
    const vectors: unknown = JSON.parse(await readFile(file, 'utf8'));
    set(vectors, at, value);
    await writeFile(file, JSON.stringify(vectors));
  }

  it('finds nothing before the damage', async () => {
    const { exitCode, lines } = await check(folder);
    assert.deepEqual([exitCode, lines.length], [0, 1], lines.join('\n'));
  });

  const CLIENT = '10.13.244.1@39473#669528114487223426';
  const DAMAGES: readonly (readonly [
    what: string,
    file: string,
    at: Path,
    value: unknown,
    expected: RegExp,
  ])[] = [
    [
      'the order of a client’s queues',
      'allocation.json',
      ['cases', 0, 'allocation', 'AVG', CLIENT],
      [5, 0],
      /^allocation\.json case 0 \(GID_0\) AVG: 10\.13\S+: expected \[5,0\], got \[0\]$/,
    ],
    [
      'a client without a share',
      'allocation.json',
      ['cases', 0, 'allocation', 'CONSISTENT_HASH', CLIENT],
      undefined,
      /^allocation\.json case 0 \(GID_0\) CONSISTENT_HASH: 10\.13\S+: expected nothing, got \[/,
    ],
    [
      'a share without a client',
      'allocation.json',
      ['cases', 0, 'allocation', 'AVG', 'nobody'],
      [1],
      /^allocation\.json case 0 \(GID_0\) AVG: nobody: expected \[1\], got \[\]$/,
    ],
    [
      'a strategy that nobody knows',
      'allocation.json',
      ['cases', 2, 'allocation', 'GUESS'],
      { somebody: [] },
      /^allocation\.json case 2 \(GID_2\) GUESS: threw Error: the strategy "GUESS" is not known$/,
    ],
    [
      'a field of a header',
      'frames.json',
      ['cases', 0, 'decoded', 'extFields', 'topic'],
      'other',
      /^frames\.json case 0 \(JSON code 11\): extFields: expected \{.*"topic":"other".*\}, got \{/,
    ],
    [
      'a remark',
      'frames.json',
      ['cases', 0, 'decoded', 'remark'],
      '',
      /^frames\.json case 0 .*: remark: expected "", got nothing$/,
    ],
    [
      'a body',
      'frames.json',
      ['cases', 5, 'decoded', 'body'],
      null,
      /^frames\.json case 5 .*: body: expected "", got "ey/,
    ],
    [
      'the kind of a header',
      'frames.json',
      ['cases', 1, 'serializeType'],
      'JSON',
      /^frames\.json case 1 .*: serializeType: expected "JSON", got "ROCKETMQ"$/,
    ],
    [
      'bytes of a frame',
      'frames.json',
      ['cases', 3, 'frame'],
      'AAABmQAAAZV7',
      /^frames\.json case 3 .*: threw ProtocolError: a frame announces/,
    ],
    [
      'an offset beyond 2^53',
      'messages.json',
      ['cases', 0, 'decoded', 'queueOffset'],
      '9007199254741399',
      /^messages\.json case 0 \(plain\): queueOffset: expected "9007199254741399", got "9007199254741398"$/,
    ],
    [
      'a property',
      'messages.json',
      ['cases', 2, 'decoded', 'properties', 'extra'],
      'x',
      /^messages\.json case 2 .*: properties: expected .*"extra":"x".*, got /,
    ],
    [
      'a field that is missing',
      'messages.json',
      ['cases', 3, 'decoded', 'storeSize'],
      undefined,
      /^messages\.json case 3 .*: storeSize: expected nothing, got \d+$/,
    ],
    [
      'a field that is not ours',
      'messages.json',
      ['cases', 4, 'decoded', 'colour'],
      'red',
      /^messages\.json case 4 .*: colour: expected "red", got nothing$/,
    ],
    [
      'a stored record',
      'messages.json',
      ['cases', 5, 'stored'],
      'AAAAztqjIKcAAAAA',
      /^messages\.json case 5 .*(threw|messages: expected 1, got 0)/,
    ],
    [
      'a signature',
      'acl.json',
      ['cases', 0, 'signature'],
      'AAAA',
      /^acl\.json case 0: Signature: expected "AAAA", got "bi2z\+Qp2SqDUROfQFHkQpClx2WI="$/,
    ],
    [
      'a key',
      'acl.json',
      ['cases', 1, 'secretKey'],
      'other',
      /^acl\.json case 1: Signature: expected "wzt\+/,
    ],
    [
      'a code of a tag',
      'subscriptions.json',
      ['subscriptions', 2, 'codeSet'],
      [1],
      /^subscriptions\.json expression "TagA": codeSet: expected \[1\], got \[2598919\]$/,
    ],
    [
      'an expression that is refused',
      'subscriptions.json',
      ['subscriptions', 2, 'error'],
      'Exception',
      /^subscriptions\.json expression "TagA": refused: expected true, got false$/,
    ],
    [
      'a hash',
      'subscriptions.json',
      ['tagHashes', 0, 'hash'],
      1,
      /^subscriptions\.json tag ".*": hash: expected 1, got /,
    ],
  ];

  for (const [what, file, at, value, expected] of DAMAGES)
    it(`reports ${what} (${file})`, async () => {
      await damage(file, at, value);
      const { exitCode, lines } = await check(folder);
      assert.equal(exitCode, 1);
      assert(
        lines.some((line) => expected.test(line)),
        lines.join('\n'),
      );
      assert.match(lines.at(-1) as string, /^\d+ passed, 1 failed$/);
    });

  it('counts every case that differs, and goes on after it', async () => {
    for (let at = 0; at < KEPT; at++) {
      await damage('acl.json', ['cases', at, 'secretKey'], 'other');
      await damage('subscriptions.json', ['tagHashes', at, 'hash'], 1);
    }
    const { exitCode, lines } = await check(folder);
    assert.equal(exitCode, 1);
    assert.match(lines.at(-1) as string, /, 14 failed$/);
  });

  it('ends the command with 1', async () => {
    await damage('acl.json', ['cases', 0, 'signature'], 'AAAA');
    const { exitCode, lines } = await command(folder);
    assert.equal(exitCode, 1);
    assert.equal(lines.length, 2);
    assert.match(lines[1] as string, /, 1 failed$/);
  });

  for (const name of FILES)
    it(`names ${name} when it is missing, and checks the others`, async () => {
      await rm(path.join(folder, name));
      const { exitCode, lines } = await check(folder);
      assert.equal(exitCode, 1);
      assert.equal(lines[0], `${name}: missing`);
      assert.match(lines[1] as string, /^[1-9]\d* passed, 0 failed$/);
    });

  const BROKEN: readonly (readonly [content: string, expected: RegExp])[] = [
    ['{"cases":[', /^frames\.json: not readable as vectors: SyntaxError/],
    ['null', /^frames\.json: not readable as vectors: Error: no JSON object$/],
    ['{"cases":[]}', /^frames\.json: not readable as vectors: Error: it has no "cases"$/],
    ['{"cases":7}', /^frames\.json: not readable as vectors: Error: it has no "cases"$/],
    ['{"cases":[null]}', /^frames\.json: not readable as vectors: TypeError/],
  ];
  for (const [content, expected] of BROKEN)
    it(`ends with 1 for a file with ${content}`, async () => {
      await writeFile(path.join(folder, 'frames.json'), content);
      const { exitCode, lines } = await check(folder);
      assert.equal(exitCode, 1);
      assert.match(lines[0] as string, expected);
      assert.match(lines.at(-1) as string, /^[1-9]\d* passed, 0 failed$/);
    });
});
