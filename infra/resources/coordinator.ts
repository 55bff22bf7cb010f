import type { ServiceOptions } from '../../src/config/service-options.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import { ENVIRONMENT } from '../../src/runtime/environment.ts';
import type {
  CloudFormationResource,
  FunctionDefinition,
  Naming,
  Provider,
} from '../serverless-api.ts';
import { COORDINATOR, type FunctionNaming, PULLER, TABLE } from './names.ts';
import { allow, arnOf, functionRole, secretStatements } from './role.ts';
import { makerStatements } from './table-rights.ts';

const ROLE = 'RocketmqCoordinatorRole';
/** Seconds: a run lasts until the schedule starts the next one. */
const TIMEOUT = 60;

/** The coordinator as a function of serverless.yml. Retries would only meet the next minute's run. */
export function coordinatorFunction(
  naming: Naming,
  options: ServiceOptions['coordinator'],
): FunctionDefinition {
  return {
    description: 'serverless-rocketmq: assigns queues and starts pullers',
    timeout: TIMEOUT,
    memorySize: options.memorySize,
    role: { 'Fn::Sub': `\${${ROLE}.Arn}` },
    environment: {
      [ENVIRONMENT.table]: { Ref: TABLE },
      [ENVIRONMENT.pullerFunction]: { Ref: naming.getLambdaLogicalId(PULLER) },
    },
    maximumRetryAttempts: 0,
    maximumEventAge: 60,
  };
}

export function coordinatorResources(
  naming: FunctionNaming,
  provider: Provider,
  config: ServiceConfig,
  table: ServiceOptions['table'],
): Record<string, CloudFormationResource> {
  const statements = [
    ...makerStatements(table, config),
    allow(['lambda:InvokeFunction'], arnOf(naming.getLambdaLogicalId(PULLER))),
    ...secretStatements(config.clusters),
  ];
  return { [ROLE]: functionRole(COORDINATOR, naming, statements, provider) };
}
