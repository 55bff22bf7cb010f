import type { ServiceConfig } from '../../src/model/source.ts';
import { ENVIRONMENT } from '../../src/runtime/environment.ts';
import type {
  CloudFormationResource,
  FunctionDefinition,
  Naming,
  Provider,
} from '../serverless-api.ts';
import { OPERATOR, TABLE } from './names.ts';
import type { PullerNeeds } from './puller.ts';
import { allow, arnOf, functionRole, invokeStatements, secretStatements } from './role.ts';

const ROLE = 'RocketmqOperatorRole';
/** Seconds: steps of long work take 20 s at most, and `invoke` waits for a handler. */
const TIMEOUT = 90;
const MEMORY = 256;

/**
 * The function that carries out the commands of operators. One of its own, so that no run of the coordinator (55 s of every minute, and perhaps with
 * reserved concurrency) stands in a command's way, and so that the right to operate is the right to invoke this function and nothing else.
 */
export function operatorFunction(): FunctionDefinition {
  return {
    description: 'serverless-rocketmq: carries out the commands of operators',
    timeout: TIMEOUT,
    memorySize: MEMORY,
    role: { 'Fn::Sub': `\${${ROLE}.Arn}` },
    environment: { [ENVIRONMENT.table]: { Ref: TABLE } },
    // What nobody waits for is not to be done late.
    maximumRetryAttempts: 0,
    maximumEventAge: 60,
  };
}

export function operatorResources(
  naming: Naming,
  provider: Provider,
  { invoked }: PullerNeeds,
  { clusters }: ServiceConfig,
): Record<string, CloudFormationResource> {
  const statements = [
    allow(['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:UpdateItem'], arnOf(TABLE)),
    ...invokeStatements(naming, invoked),
    ...secretStatements(clusters),
  ];
  return { [ROLE]: functionRole(naming.getLogGroupLogicalId(OPERATOR), statements, provider) };
}
