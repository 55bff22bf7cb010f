import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { ROOT, type RunResult, run } from '../infra/package-service.ts';

/** A project that knows the package and nothing of this repo: in an empty folder elsewhere, with the packed tarball installed. */
export interface Stranger {
  readonly directory: string;
  /** Runs a script of an installed package with Node. */
  bin(script: string, args: readonly string[], env?: Record<string, string>): Promise<RunResult>;
  remove(): Promise<void>;
}

/** The package as it would be published; answers the tarball. */
export async function pack(directory: string): Promise<string> {
  const { code, output } = await npm(['pack', '--silent', '--pack-destination', directory], ROOT);
  if (code !== 0) throw new Error(`npm pack failed:\n${output}`);
  return path.join(directory, output.trim().split('\n').at(-1) ?? '');
}

export async function makeStranger(
  packages: readonly string[],
  files: Readonly<Record<string, string>>,
): Promise<Stranger> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'stranger-'));
  await writeFile(
    path.join(directory, 'package.json'),
    JSON.stringify({ name: 'shop', version: '1.0.0', private: true, type: 'module' }),
  );
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(directory, name)), { recursive: true });
    await writeFile(path.join(directory, name), content);
  }
  const { code, output } = await npm(
    ['install', '--prefer-offline', '--no-audit', '--no-fund', ...packages],
    directory,
  );
  if (code !== 0) throw new Error(`npm install failed:\n${output}`);
  return {
    directory,
    bin: (script, args, env = {}) =>
      run([path.join(directory, 'node_modules', script), ...args], directory, env),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** npm's own code, on the Node that runs the tests. */
async function npm(args: readonly string[], cwd: string): Promise<RunResult> {
  const cli = process.env.npm_execpath ?? (await npmBesideNode());
  return run([cli, ...args], cwd, { NODE_NO_WARNINGS: '1', npm_config_loglevel: 'error' });
}

async function npmBesideNode(): Promise<string> {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const candidate = path.join(folder, '../lib/node_modules/npm/bin/npm-cli.js');
    if (await readFile(candidate).catch(() => undefined)) return candidate;
  }
  throw new Error('npm is not on the PATH: run the tests as npm test');
}
