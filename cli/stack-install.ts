/** `npm run stack:install`: fetches the real RocketMQ and DynamoDB Local that tests and `npm start -- --broker real` run, and what stands for AWS in tests. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  dynamodbLocalPart,
  ROCKETMQ_VERSION,
  rocketmqPart,
  type StackPart,
  stampFile,
} from './stack/cache.ts';
import {
  hasPythonTools,
  PYTHON_TOOLS,
  pythonToolsFolder,
  pythonToolsStamp,
} from './stack/python-tools.ts';

const { values } = parseArgs({
  options: { rocketmq: { type: 'string', default: ROCKETMQ_VERSION } },
});
/** Each fails on a JDK older than 17. */
const JDK_17 = [
  ['java', ['--add-opens=java.base/java.lang=ALL-UNNAMED', '-version']],
  ['javac', ['--release', '17', '-version']],
] as const;
const parts = [
  ...values.rocketmq.split(',').map((version) => rocketmqPart(version.trim())),
  dynamodbLocalPart(),
];

try {
  for (const [command, args] of JDK_17)
    await requireCommand(
      command,
      args,
      'a JDK of version 17 or later (Debian: apt-get install openjdk-17-jdk-headless)',
    );
  await requireCommand('mvn', ['-version'], 'Maven (Debian: apt-get install maven)');
  for (const part of parts) await install(part);
  await installPythonTools();
} catch (error) {
  process.stderr.write(
    `stack:install: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
}

async function install(part: StackPart): Promise<void> {
  if (existsSync(stampFile(part))) {
    process.stdout.write(`${part.name}: already there\n`);
    return;
  }
  process.stdout.write(`${part.name}: fetching with Maven …\n`);
  const started = Date.now();
  await rm(part.folder, { recursive: true, force: true });
  await mkdir(part.folder, { recursive: true });
  const pom = path.join(part.folder, 'pom.xml');
  await writeFile(pom, pomOf(part));
  await run('mvn', [
    '-q',
    '-B',
    '-U',
    '-f',
    pom,
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
    `-DoutputDirectory=${path.join(part.folder, 'lib')}`,
  ]).catch((error: Error) => {
    throw new Error(
      `${part.name} could not be fetched (${error.message}; Maven's own message is above): check the way to Maven Central, or take a version that is complete there (RocketMQ: 5.5.0, 5.4.0, 5.3.3, 4.9.7)`,
    );
  });
  await writeFile(stampFile(part), new Date().toISOString());
  process.stdout.write(`${part.name}: done in ${((Date.now() - started) / 1000).toFixed(0)} s\n`);
}

async function installPythonTools(): Promise<void> {
  const names = PYTHON_TOOLS.join(', ');
  if (hasPythonTools()) {
    process.stdout.write(`${names}: already there\n`);
    return;
  }
  await requireCommand(
    'python3',
    ['-c', 'import venv, ensurepip'],
    'Python 3 with venv (Debian: apt-get install python3-venv)',
  );
  process.stdout.write(`${names}: fetching with pip …\n`);
  const started = Date.now();
  const folder = pythonToolsFolder();
  await rm(folder, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', folder]);
  await run(path.join(folder, 'bin/pip'), [
    'install',
    '--quiet',
    '--disable-pip-version-check',
    ...PYTHON_TOOLS,
  ]);
  await writeFile(pythonToolsStamp(), new Date().toISOString());
  process.stdout.write(`${names}: done in ${((Date.now() - started) / 1000).toFixed(0)} s\n`);
}

function pomOf(part: StackPart): string {
  const dependencies = part.artifacts.map((coordinates) => {
    const [groupId, artifactId, version] = coordinates.split(':');
    return `<dependency><groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project><modelVersion>4.0.0</modelVersion><groupId>stack</groupId><artifactId>stack</artifactId><version>1</version><dependencies>${dependencies.join('')}</dependencies></project>\n`;
}

async function requireCommand(
  command: string,
  args: readonly string[],
  what: string,
): Promise<void> {
  await run(command, args, true).catch(() => {
    throw new Error(`"${command}" is missing or too old: install ${what}`);
  });
}

function run(command: string, args: readonly string[], quiet = false): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: quiet ? 'ignore' : ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}`)),
    );
  });
}
