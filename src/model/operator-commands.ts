/** Commands of the operator function, as the command line and `custom.rocketmq.operator.commands` name them. */
export const OPERATOR_COMMANDS = [
  'status',
  'pause',
  'resume',
  'reset',
  'skip',
  'peek',
  'get',
  'trace',
  'dlq list',
  'dlq peek',
  'dlq redrive',
  'dlq drop',
  'doctor',
  'connections',
  'send',
  'invoke',
  'cost',
  'config',
] as const;

export type OperatorCommand = (typeof OPERATOR_COMMANDS)[number];

/** Commands of the read-only function: they change nothing and show no message. */
export const READ_ONLY_COMMANDS: readonly OperatorCommand[] = [
  'status',
  'connections',
  'doctor',
  'dlq list',
  'cost',
];

/** What the operator function may do. */
export interface OperatorRules {
  /** Absent: every command. */
  readonly commands?: readonly OperatorCommand[];
  /** Topics beside those of the service's groups that `send` and `dlq redrive --to` may name. */
  readonly topics?: readonly string[] | 'any';
}

/** The name of a command in requests: `dlqList` for `dlq list`. */
export function requestName(command: OperatorCommand): string {
  return command.replace(/ (\w)/g, (_, letter: string) => letter.toUpperCase());
}
