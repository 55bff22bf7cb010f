import type { ServiceOptions } from '../../src/config/service-options.ts';
import {
  OPERATOR_COMMANDS,
  type OperatorCommand,
  READ_ONLY_COMMANDS,
} from '../../src/model/operator-commands.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import { ENVIRONMENT } from '../../src/runtime/environment.ts';
import type { CloudFormationResource, FunctionDefinition, Provider } from '../serverless-api.ts';
import { type FunctionNaming, OPERATOR, OPERATOR_READ_ONLY, TABLE } from './names.ts';
import type { PullerNeeds } from './puller.ts';
import { functionRole, invokeStatements, secretStatements } from './role.ts';
import { tableStatements } from './table-rights.ts';

const ROLES = {
  [OPERATOR]: 'RocketmqOperatorRole',
  [OPERATOR_READ_ONLY]: 'RocketmqOperatorReadOnlyRole',
} as const;
type OperatorKey = keyof typeof ROLES;
export const OPERATORS = Object.keys(ROLES) as readonly OperatorKey[];
/** Commands that write items. */
const WRITING: readonly OperatorCommand[] = ['pause', 'resume', 'reset', 'skip'];
/** Commands that call handlers, or check whether they can be called. */
const INVOKING: readonly OperatorCommand[] = ['invoke', 'doctor'];
/** Seconds: steps of long work take 20 s at most, and `invoke` waits for a handler. */
const TIMEOUT = 90;
const MEMORY = 256;

/**
 * The function that carries out the commands of operators. One of its own, so that no run of the coordinator (55 s of every minute, and perhaps with
 * reserved concurrency) stands in a command's way, and so that the right to operate is the right to invoke this function and nothing else.
 */
export function operatorFunction(key: OperatorKey): FunctionDefinition {
  return {
    description:
      key === OPERATOR
        ? 'serverless-rocketmq: carries out the commands of operators'
        : 'serverless-rocketmq: answers the commands that only read',
    timeout: TIMEOUT,
    memorySize: MEMORY,
    role: { 'Fn::Sub': `\${${ROLES[key]}.Arn}` },
    environment: { [ENVIRONMENT.table]: { Ref: TABLE } },
    // What nobody waits for is not to be done late.
    maximumRetryAttempts: 0,
    maximumEventAge: 60,
  };
}

export function operatorResources(
  key: OperatorKey,
  naming: FunctionNaming,
  provider: Provider,
  { invoked }: PullerNeeds,
  config: ServiceConfig,
  table: ServiceOptions['table'],
): Record<string, CloudFormationResource> {
  const { clusters, operator } = config;
  const readOnly = key === OPERATOR_READ_ONLY;
  const commands = readOnly ? READ_ONLY_COMMANDS : (operator?.commands ?? OPERATOR_COMMANDS);
  const writes = WRITING.some((command) => commands.includes(command));
  // A dry run needs the right to invoke: the read-only function does not check handlers.
  const invokes = !readOnly && INVOKING.some((command) => commands.includes(command));
  const statements = [
    ...tableStatements(table, writes ? 'write' : 'read', config),
    ...(invokes ? invokeStatements(naming, invoked) : []),
    ...secretStatements(clusters),
  ];
  return { [ROLES[key]]: functionRole(key, naming, statements, provider) };
}
