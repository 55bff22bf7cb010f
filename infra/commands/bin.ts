#!/usr/bin/env node
/** `npx serverless-rocketmq …`: the commands for teams without the framework at hand. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { printableText } from '../../src/model/printable-text.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import { didYouMean } from '../../src/operator/arguments.ts';
import { OperatorError, usage } from '../../src/operator/operator-error.ts';
import type { AwsAccess } from '../../src/runtime/aws-clients.ts';
import { ENVIRONMENT } from '../../src/runtime/environment.ts';
import { OPERATOR, OPERATOR_READ_ONLY } from '../resources/names.ts';
import { adHocService } from './ad-hoc-service.ts';
import { COMMANDS } from './all-commands.ts';
import type { CommandDefinition, Operator, OptionDefinition, Values } from './command.ts';
import { COMMON, text } from './options.ts';
import { EXIT, processTerminal, runCommand } from './run-command.ts';

const WHERE: Readonly<Record<string, OptionDefinition>> = {
  function: text(
    'Name or ARN of the operator function; default <service>-<stage>-rocketmqOperator',
  ),
  service: text('Name of the service'),
  stage: text('Its stage (dev)'),
  region: text('Its AWS region (AWS_REGION, or that of the profile)'),
  profile: text('AWS profile (AWS_PROFILE)'),
  group: text('Consumer group; with --local it need not be a deployed one'),
  topic: text('With --local and without --service-file: a topic that the group reads'),
  'service-file': text('With --local: the configuration as JSON, as the command config prints it'),
};

process.exitCode = await main(process.argv.slice(2));

async function main(given: readonly string[]): Promise<number> {
  const words = given.slice(0, given.findIndex((word) => word.startsWith('-')) >>> 0);
  const command = COMMANDS.find((one) => one.words.join(' ') === words.join(' '));
  if (
    given.includes('--help') ||
    given.includes('-h') ||
    given.length === 0 ||
    given[0] === 'help'
  ) {
    process.stdout.write(`${command === undefined ? helpOfAll() : helpOf(command)}\n`);
    return given.length === 0 ? EXIT.usage : EXIT.done;
  }
  if (command === undefined) {
    const names = COMMANDS.map((one) => one.words.join(' '));
    process.stderr.write(
      printableText(
        `"${words.join(' ')}" is no command${didYouMean(words.join(' '), names)}. There are: ${names.join(', ')}\n`,
      ),
    );
    return EXIT.usage;
  }
  try {
    const values = readOptions(command, given.slice(words.length));
    return await runCommand(command, values, () => openOperator(values), processTerminal());
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    process.stderr.write(printableText(`${error.code}: ${error.message}\n`));
    return EXIT.usage;
  }
}

function readOptions(command: CommandDefinition, given: readonly string[]): Values {
  const options = { ...COMMON, ...WHERE, ...command.options };
  const types = Object.entries(options).map(([name, { type }]) => [
    name,
    type === 'boolean'
      ? { type: 'boolean' as const }
      : { type: 'string' as const, multiple: type === 'multiple' },
  ]);
  try {
    const { values, positionals } = parseArgs({
      args: [...given],
      options: Object.fromEntries(types),
      allowPositionals: true,
    });
    if (positionals.length > 0)
      usage(`"${positionals[0]}" is one word too many: options begin with --`);
    return values as Values;
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const { code, message } = error as Error & { code?: string };
    const [, name = ''] = /'--?([^' =]+)/.exec(message) ?? [];
    return code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION'
      ? usage(
          `--${name} is not an option of ${command.words.join(' ')}${didYouMean(name, Object.keys(options))}`,
        )
      : usage(message);
  }
}

/** Loaded only when it is needed: the AWS SDK takes longer to load than a help text to print. */
async function openOperator(values: Values): Promise<Operator> {
  const [region, profile] = [textOf(values, 'region'), textOf(values, 'profile')];
  const access: AwsAccess = {
    ...(region === undefined ? {} : { region }),
    ...(profile === undefined ? {} : { profile }),
  };
  if (values.local === true) {
    const { localOperator } = await import('./local-operator.ts');
    const nameServers = textOf(values, 'name-servers') ?? process.env[ENVIRONMENT.nameServers];
    const file = textOf(values, 'service-file');
    const table = textOf(values, 'table') ?? process.env[ENVIRONMENT.table];
    const tenant = {
      service: textOf(values, 'service') ?? process.env.ROCKETMQ_SERVICE,
      stage: textOf(values, 'stage') ?? process.env.ROCKETMQ_STAGE,
    };
    if (table !== undefined && file === undefined && tenant.service === undefined)
      usage(
        '--local with a table needs the service and stage of its items: --service and --stage, ROCKETMQ_SERVICE and ROCKETMQ_STAGE, or --service-file',
      );
    const service =
      file === undefined
        ? adHocService({ ...values, ...tenant }, nameServers)
        : await readService(file);
    return localOperator(service, access, table, nameServers);
  }
  const { deployedOperator } = await import('./deployed-operator.ts');
  const service = textOf(values, 'service');
  const name =
    textOf(values, 'function') ??
    (service === undefined
      ? usage(
          'say whose brokers are meant: --service NAME --stage STAGE, or --function NAME, or --local with --name-servers',
        )
      : `${service}-${textOf(values, 'stage') ?? 'dev'}-${values['read-only'] === true ? OPERATOR_READ_ONLY : OPERATOR}`);
  return deployedOperator(name, access);
}

async function readService(file: string): Promise<ServiceConfig> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as ServiceConfig;
  } catch (error) {
    return usage(`--service-file ${file} cannot be read: ${String(error)}`);
  }
}

function textOf(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function helpOfAll(): string {
  const width = Math.max(...COMMANDS.map(({ words }) => words.join(' ').length));
  return [
    'usage: npx serverless-rocketmq COMMAND --service NAME --stage STAGE [options]',
    '',
    ...COMMANDS.map(({ words, usage: what }) => `  ${words.join(' ').padEnd(width)}  ${what}`),
    '',
    'npx serverless-rocketmq COMMAND --help tells the options of a command.',
  ].join('\n');
}

function helpOf({ words, usage: what, options }: CommandDefinition): string {
  const all = Object.entries({ ...options, ...COMMON, ...WHERE });
  const left = ([name, { type }]: (typeof all)[number]): string =>
    `--${name}${type === 'boolean' ? '' : ' VALUE'}`;
  const width = Math.max(...all.map((option) => left(option).length));
  return [
    `usage: npx serverless-rocketmq ${words.join(' ')} [options]`,
    '',
    what,
    '',
    ...all.map((option) => `  ${left(option).padEnd(width)}  ${option[1].usage}`),
  ].join('\n');
}
