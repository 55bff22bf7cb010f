import type { ServiceConfig } from '../../src/model/source.ts';
import { usage } from '../../src/operator/operator-error.ts';
import type { AwsAccess } from '../../src/runtime/aws-clients.ts';
import { ENVIRONMENT } from '../../src/runtime/environment.ts';
import { COMMANDS } from './all-commands.ts';
import type { CommandDefinition, Operator, OptionDefinition, Values } from './command.ts';
import { COMMON } from './options.ts';
import { processTerminal, runCommand } from './run-command.ts';

/** A command as Serverless's plugins declare it. */
interface ServerlessCommand {
  usage: string;
  lifecycleEvents?: string[];
  options?: Record<string, OptionDefinition>;
  commands?: Record<string, ServerlessCommand>;
}

/** `serverless rocketmq …`, for a plugin's `commands`. */
export function rocketmqCommands(): { rocketmq: ServerlessCommand } {
  const root: ServerlessCommand = {
    usage: 'Operate the consumer groups of this service',
    commands: {},
  };
  for (const { words, usage, options } of COMMANDS) {
    let parent = root;
    for (const word of words.slice(0, -1)) {
      parent.commands ??= {};
      parent.commands[word] ??= { usage: `Commands about ${word}`, commands: {} };
      parent = parent.commands[word];
    }
    parent.commands ??= {};
    parent.commands[words.at(-1) as string] = {
      usage,
      lifecycleEvents: ['run'],
      options: { ...COMMON, ...options },
    };
  }
  return { rocketmq: root };
}

/** What the commands need of the service. */
export interface CommandService {
  readonly config: ServiceConfig;
  /** Deployed names of the operator functions. Undefined: the service has none. */
  readonly functionNames: {
    readonly full: string | undefined;
    readonly readOnly: string | undefined;
  };
  /** Region, profile and credentials as the framework has them. */
  readonly access: AwsAccess;
  /** Of a local run (`serverless offline`), when nothing names another. */
  readonly localTable: string;
}

/** `rocketmq:status:run` and so on, for a plugin's `hooks`. Each sets the process's exit code. */
export function rocketmqHooks<Service>(
  values: Values,
  serviceOf: (service: Service) => CommandService,
): Record<string, (service: Service) => Promise<void>> {
  return Object.fromEntries(
    COMMANDS.map((command: CommandDefinition) => [
      `rocketmq:${command.words.join(':')}:run`,
      async (service: Service) => {
        process.exitCode = await runCommand(
          command,
          values,
          () => openOperator(values, serviceOf(service)),
          processTerminal(),
        );
      },
    ]),
  );
}

/** The AWS SDK and our client are loaded by the commands alone. */
async function openOperator(
  values: Values,
  { config, functionNames, access, localTable }: CommandService,
): Promise<Operator> {
  if (values.local !== true) {
    const { deployedOperator } = await import('./deployed-operator.ts');
    const readOnly = values['read-only'] === true;
    return deployedOperator(
      (readOnly ? functionNames.readOnly : functionNames.full) ??
        usage(
          readOnly
            ? 'the service has no read-only function: set custom.rocketmq.operator.readOnly in serverless.yml and deploy'
            : 'the service has no operator function (custom.rocketmq.operator: false): use --local',
        ),
      access,
    );
  }
  const { localOperator } = await import('./local-operator.ts');
  const nameServers =
    typeof values['name-servers'] === 'string'
      ? values['name-servers']
      : process.env[ENVIRONMENT.nameServers];
  const given = typeof values.table === 'string' ? values.table : process.env[ENVIRONMENT.table];
  const isLocalTable = process.env.AWS_ENDPOINT_URL_DYNAMODB !== undefined;
  return localOperator(
    config,
    access,
    given ?? (isLocalTable ? localTable : undefined),
    nameServers,
  );
}
