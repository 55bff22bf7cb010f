import type { FunctionDefinition, Naming } from '../serverless-api.ts';

/** Keys under `functions:` of what the plugin adds. */
export const COORDINATOR = 'rocketmqCoordinator';
export const PULLER = 'rocketmqPuller';
export const OPERATOR = 'rocketmqOperator';
export const OPERATOR_READ_ONLY = 'rocketmqOperatorReadOnly';
export const ADDED = [COORDINATOR, PULLER, OPERATOR, OPERATOR_READ_ONLY] as const;

/** Logical id of the assignment table. */
export const TABLE = 'RocketmqTable';

/** Serverless's naming, and the deployed names of functions. */
export interface FunctionNaming extends Naming {
  getFunctionName(functionKey: string): string;
}

export function functionNaming(
  naming: Naming,
  functions: Readonly<Record<string, FunctionDefinition>>,
): FunctionNaming {
  return {
    getLambdaLogicalId: (key) => naming.getLambdaLogicalId(key),
    getLogGroupLogicalId: (key) => naming.getLogGroupLogicalId(key),
    getFunctionName: (key) => functions[key]?.name ?? key,
  };
}

/** Name of the table of a local run, unless ROCKETMQ_TABLE says another. */
export function localTableName(service: string, stage: string): string {
  return `${service}-${stage}-rocketmq`;
}
