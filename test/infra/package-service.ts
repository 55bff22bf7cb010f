import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { unzipSync } from 'fflate';
import type { CloudFormationResource } from '../../infra/serverless-api.ts';

export const ROOT = path.join(import.meta.dirname, '../..');
const OSLS = createRequire(import.meta.url).resolve('serverless/bin/serverless.js');

export interface RunResult {
  readonly code: number | null;
  /** stdout and stderr. */
  readonly output: string;
}

/** Runs `serverless <args>` in a directory, without any AWS settings of the machine. */
export async function serverless(
  directory: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<RunResult> {
  return await run([OSLS, ...args], directory, {
    SLS_SCHEMA_CACHE_BASE_DIR: os.tmpdir(),
    NO_COLOR: '1',
    ...env,
  });
}

/** Runs Node with arguments and collects what it prints. */
export async function run(
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
  node: string = process.execPath,
): Promise<RunResult> {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(AWS_|ROCKETMQ_|SAMPLE_|NODE_OPTIONS|NODE_TEST)/.test(name),
    ),
  );
  const child = spawn(node, args, {
    cwd,
    env: { ...clean, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  return { code, output: Buffer.concat(chunks).toString('utf8') };
}

export interface Fixture {
  readonly directory: string;
  remove(): Promise<void>;
}

/** A service in a directory of its own below the repo, so that the plugin is found as a user finds it: `serverless-rocketmq/plugin`. */
export async function makeService(files: Readonly<Record<string, string>>): Promise<Fixture> {
  await mkdir(path.join(ROOT, '.cache'), { recursive: true });
  const directory = await mkdtemp(path.join(ROOT, '.cache', 'service-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(directory, name)), { recursive: true });
    await writeFile(path.join(directory, name), content);
  }
  return { directory, remove: () => rm(directory, { recursive: true, force: true }) };
}

/** A template is read by path; what is not there fails the assertion that reads it. */
// biome-ignore lint/suspicious/noExplicitAny: the type of a template's depths would be longer than the tests
export type Json = Record<string, any>;

export interface Template {
  readonly Resources: Readonly<
    Record<string, CloudFormationResource & { readonly Properties: Json }>
  >;
  readonly Outputs: Readonly<Record<string, unknown>>;
}

export async function readTemplate(directory: string): Promise<Template> {
  return JSON.parse(
    await readFile(
      path.join(directory, '.serverless/cloudformation-template-update-stack.json'),
      'utf8',
    ),
  ) as Template;
}

/** Unpacks a function's zip to a place without node_modules near, like Lambda's /var/task. Returns the directory. */
export async function unpack(
  directory: string,
  functionKey: string,
): Promise<Fixture & { readonly names: readonly string[] }> {
  const files = unzipSync(
    await readFile(path.join(directory, '.serverless', `${functionKey}.zip`)),
  );
  const target = await mkdtemp(path.join(os.tmpdir(), `task-${functionKey}-`));
  for (const [name, bytes] of Object.entries(files))
    await writeFile(path.join(target, name), bytes);
  return {
    directory: target,
    names: Object.keys(files),
    remove: () => rm(target, { recursive: true, force: true }),
  };
}

/** All statements of the role that a function runs with. */
export function statementsOf(
  template: Template,
  role: string,
): { Action: readonly string[]; Resource: unknown }[] {
  return template.Resources[role]!.Properties.Policies.flatMap(
    (policy: Json) => policy.PolicyDocument.Statement,
  );
}
