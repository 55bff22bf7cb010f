import { RocketMQError } from '../errors.ts';
import { Arguments, didYouMean } from './arguments.ts';
import { config } from './config.ts';
import { connections } from './connections.ts';
import { cost } from './cost.ts';
import { dlqDrop, dlqList, dlqPeek, dlqRedrive } from './dlq.ts';
import { doctor } from './doctor.ts';
import { invokeMessage } from './invoke-message.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { cut, usage } from './operator-error.ts';
import { pause, resume } from './pause.ts';
import { get, peek } from './peek.ts';
import { requireAllowed } from './permissions.ts';
import { reset } from './reset.ts';
import { send } from './send.ts';
import { skip } from './skip.ts';
import { status } from './status.ts';
import { trace } from './trace.ts';

/** Of the requests; a function that knows another one says so. */
export const OPERATOR_VERSION = 1;

type Operation = (deps: OperatorDeps, args: Arguments) => Promise<unknown>;

/** Every command, by the name that requests have. */
export const OPERATIONS = {
  status,
  pause,
  resume,
  reset,
  skip,
  peek,
  get,
  trace,
  dlqList,
  dlqPeek,
  dlqRedrive,
  dlqDrop,
  doctor,
  connections,
  send,
  invoke: invokeMessage,
  cost,
  config,
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof OPERATIONS;
export type OperationAnswer<Name extends OperationName> = Awaited<
  ReturnType<(typeof OPERATIONS)[Name]>
>;

/** What the operator function is invoked with: `{ rocketmqOperator: … }`. Arguments are named as the options of the command line. */
export interface OperatorRequest {
  readonly version: number;
  readonly command: string;
  /** The user that asks, as the command line reports it. For the log only. */
  readonly by?: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

export type OperatorAnswer<Answer = unknown> =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

/** Carries out one request. Never throws: what failed is an answer, too. */
export async function runOperator(deps: OperatorDeps, request: unknown): Promise<OperatorAnswer> {
  try {
    const { command, args } = readRequest(request);
    requireAllowed(command, deps.commands);
    return { ok: true, answer: await OPERATIONS[command](deps, new Arguments(args)) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      ok: false,
      error: { code: error instanceof RocketMQError ? error.code : 'UNEXPECTED', message },
    };
  }
}

function readRequest(request: unknown): {
  command: OperationName;
  args: Readonly<Record<string, unknown>>;
} {
  if (typeof request !== 'object' || request === null)
    return usage(
      'invoke this function with {"rocketmqOperator": {"version": 1, "command": "status"}}',
    );
  const { version, command, args = {} } = request as Partial<OperatorRequest>;
  if (version !== OPERATOR_VERSION)
    usage(
      `the request is of version ${cut(String(JSON.stringify(version)))}, and this function knows version ${OPERATOR_VERSION}: deploy the service with the version of serverless-rocketmq that you call it with`,
    );
  if (typeof command !== 'string' || !Object.hasOwn(OPERATIONS, command))
    return usage(
      `there is no command ${cut(String(JSON.stringify(command)))}${didYouMean(String(command), Object.keys(OPERATIONS))}`,
    );
  if (typeof args !== 'object' || args === null || Array.isArray(args))
    usage('args is no object of options');
  return { command: command as OperationName, args };
}
