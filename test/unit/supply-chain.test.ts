import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

const ROOT = path.join(import.meta.dirname, '../..');
const read = (name: string) => readFile(path.join(ROOT, name), 'utf8');

interface LockedPackage {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly inBundle?: boolean;
}

describe('what users install', () => {
  test('runs no install script but that of esbuild', async () => {
    const { packages } = JSON.parse(await read('package-lock.json')) as {
      packages: Record<string, LockedPackage>;
    };
    const users = Object.entries(packages).filter(([place, { dev }]) => place !== '' && !dev);
    assert.ok(users.length > 20, `${users.length} packages`);
    const scripts = users.filter(([, { hasInstallScript }]) => hasInstallScript === true);
    assert.deepEqual(
      scripts.map(([place]) => place),
      ['node_modules/esbuild'],
    );
    for (const [place, { integrity, resolved, link, inBundle }] of users) {
      assert.ok(link !== true && inBundle !== true, `${place} is not of the registry`);
      assert.match(integrity ?? '', /^sha512-/, place);
      if (resolved !== undefined)
        assert.match(resolved, /^https:\/\/registry\.npmjs\.org\//, place);
    }
  });

  test('has no install script of its own, and says where it comes from', async () => {
    const manifest = JSON.parse(await read('package.json')) as {
      scripts: Record<string, string>;
      repository: { type: string; url: string };
      publishConfig: object;
      files: string[];
      license: string;
    };
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare', 'preuninstall'])
      assert.equal(manifest.scripts[name], undefined, name);
    assert.equal(manifest.repository.type, 'git');
    assert.match(manifest.repository.url, /^git\+https:\/\/github\.com\/[\w.-]+\/[\w.-]+\.git$/);
    assert.deepEqual(manifest.publishConfig, {
      access: 'public',
      provenance: true,
      registry: 'https://registry.npmjs.org/',
    });
    assert.ok(manifest.files.every((name) => !/^(test|simulator|cli|\.)/.test(name)));
  });
});

describe('the workflow that publishes', () => {
  /** The text of each job. */
  const jobs = async (): Promise<Map<string, string>> => {
    const [, text = ''] = (await read('.github/workflows/publish.yml')).split(/^jobs:\n/m);
    const parts = text.split(/^ {2}(\w+):\n/m).slice(1);
    return new Map(
      parts.flatMap((part, index) => (index % 2 === 0 ? [[part, parts[index + 1] ?? '']] : [])),
    );
  };

  test('publishes with provenance after the checks, and what was packed', async () => {
    const { publish = '', checks = '', pack = '' } = Object.fromEntries(await jobs());
    assert.match(publish, /needs: \[checks, pack\]/);
    assert.match(checks, /run: bash \.ci\/run/);
    assert.match(pack, /run: npm pack/);
    assert.match(publish, /npm publish \.\/serverless-rocketmq-\*\.tgz --provenance/);
    assert.match(publish, /environment: npm/);
  });

  test('gives an identity to one job, which runs no code of ours or of dependencies', async () => {
    const all = await jobs();
    assert.deepEqual(
      [...all].filter(([, text]) => text.includes('id-token: write')).map(([name]) => name),
      ['publish'],
    );
    const publish = all.get('publish') ?? '';
    assert.doesNotMatch(publish, /checkout|npm (ci|install|run)|node /);
    assert.match(publish, /--ignore-scripts/);
    const text = await read('.github/workflows/publish.yml');
    assert.match(text, /^permissions: \{\}$/m);
    assert.doesNotMatch(text, /secrets\.|NODE_AUTH_TOKEN|pull_request/);
    // What others choose (a tag's name) reaches no shell as text.
    assert.doesNotMatch(text, /run: .*\$\{\{/);
  });

  test('pins every action by its commit', async () => {
    const uses = (await read('.github/workflows/publish.yml')).match(/uses: .*/g) ?? [];
    assert.ok(uses.length >= 5);
    for (const use of uses)
      assert.match(use, /^uses: actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });
});

test('SECURITY.md says how to report, what is supported and who is trusted with what', async () => {
  const text = await read('SECURITY.md');
  for (const heading of [
    'Report a vulnerability',
    'Supported versions',
    'Who is trusted with what',
  ])
    assert.match(text, new RegExp(`^## ${heading}$`, 'm'));
});
