/** Keys under `functions:` of what the plugin adds. */
export const COORDINATOR = 'rocketmqCoordinator';
export const PULLER = 'rocketmqPuller';
export const OPERATOR = 'rocketmqOperator';
export const OPERATOR_READ_ONLY = 'rocketmqOperatorReadOnly';
export const ADDED = [COORDINATOR, PULLER, OPERATOR, OPERATOR_READ_ONLY] as const;

/** Logical id of the assignment table. */
export const TABLE = 'RocketmqTable';

/** Name of the table of a local run, unless ROCKETMQ_TABLE says another. */
export function localTableName(service: string, stage: string): string {
  return `${service}-${stage}-rocketmq`;
}
