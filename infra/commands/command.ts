import { RocketMQError } from '../../src/errors.ts';
import type {
  OperationAnswer,
  OperationName,
  OperatorAnswer,
} from '../../src/operator/run-operator.ts';

/** An option of a command, as both Serverless and `npx serverless-rocketmq` take it. */
export interface OptionDefinition {
  readonly usage: string;
  readonly type: 'string' | 'boolean' | 'multiple';
}

/** Where a command's requests go: the deployed function, or (with --local) the brokers and the table themselves. */
export interface Operator {
  request(command: OperationName, args: Readonly<Record<string, unknown>>): Promise<OperatorAnswer>;
  close(): Promise<void>;
}

/** The terminal, or what stands in for it. */
export interface Terminal {
  readonly out: { write(text: string): unknown; readonly isTTY?: boolean };
  /** Progress, questions and complaints: never mixed with what scripts read. */
  readonly err: {
    write(text: string): unknown;
    readonly isTTY?: boolean;
    readonly columns?: number;
  };
  /** Writes codes of our own, which move the cursor. All other text is escaped by `write`. */
  readonly control?: (stream: 'out' | 'err', code: string) => void;
  /** Asks; undefined: nobody is there to be asked. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
  readonly sleep: (ms: number) => Promise<void>;
  readonly now: () => number;
}

export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** What a command works with while it runs. */
export interface CommandRun {
  readonly operator: Operator;
  readonly terminal: Terminal;
  readonly values: Values;
  readonly json: boolean;
  /** Options for the request: those that are given and are not only the command line's own. Times and durations are numbers. */
  readonly args: Readonly<Record<string, unknown>>;
}

export interface CommandDefinition {
  /** Words after `serverless rocketmq`: `['dlq', 'list']`. */
  readonly words: readonly string[];
  readonly usage: string;
  readonly options: Readonly<Record<string, OptionDefinition>>;
  /** What it prints goes through `print`; the exit code when it is not 0. */
  readonly run: (run: CommandRun) => Promise<number | void>;
}

/** The answer as JSON, or as the text that people read. */
export function print<Answer>(
  { terminal, json }: CommandRun,
  answer: Answer,
  text: (answer: Answer) => string,
): void {
  terminal.out.write(`${json ? JSON.stringify(answer) : text(answer)}\n`);
}

/**
 * What the operation answers.
 * @throws RocketMQError with the code that the other side had
 */
export async function call<Name extends OperationName>(
  { operator, args }: Pick<CommandRun, 'operator' | 'args'>,
  name: Name,
  more: Readonly<Record<string, unknown>> = {},
): Promise<OperationAnswer<Name>> {
  const answer = await operator.request(name, { ...args, ...more });
  if (!answer.ok) throw new RocketMQError(answer.error.code, answer.error.message);
  return answer.answer as OperationAnswer<Name>;
}
