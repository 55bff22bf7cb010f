import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import { MAX_START_MS } from '../decide/budget/handler-run-time.ts';
import { RocketMQError } from '../errors.ts';
import { onAbort } from '../model/on-abort.ts';
import { timerMs } from '../model/timer.ts';
import type { HandlerOutcome, MessageHandler } from '../ports/invoke.ts';
import { ERROR_LENGTH } from './thrown.ts';

const TRACE_ID_HEADER = 'X-Amzn-Trace-Id';

interface Misconfiguration {
  readonly code: string;
  readonly advice: string;
}

const NOT_FOUND: Misconfiguration = {
  code: 'ROCKETMQ_HANDLER_NOT_FOUND',
  advice: 'The handler function does not exist: deploy it, or correct its name in serverless.yml',
};
const NOT_ALLOWED: Misconfiguration = {
  code: 'ROCKETMQ_HANDLER_ACCESS_DENIED',
  advice: "The puller's role may not invoke the handler: allow lambda:InvokeFunction on it",
};
const TOO_LARGE: Misconfiguration = {
  code: 'ROCKETMQ_EVENT_TOO_LARGE',
  advice: 'The event is larger than Lambda takes',
};
const KEY: Misconfiguration = {
  code: 'ROCKETMQ_HANDLER_MISCONFIGURED',
  advice:
    "Lambda cannot use the KMS key of the handler's environment: enable it, and let the function's role decrypt with it",
};
const REJECTED: Misconfiguration = {
  code: 'ROCKETMQ_HANDLER_MISCONFIGURED',
  advice: "Lambda rejects the invocation: look at the handler function's configuration",
};

/** Errors of the Invoke API that no repetition mends. */
const MISCONFIGURED: ReadonlyMap<string, Misconfiguration> = new Map([
  ['ResourceNotFoundException', NOT_FOUND],
  ['AccessDeniedException', NOT_ALLOWED],
  ['UnrecognizedClientException', NOT_ALLOWED],
  ['InvalidSignatureException', NOT_ALLOWED],
  ['KMSAccessDeniedException', KEY],
  ['KMSDisabledException', KEY],
  ['KMSInvalidStateException', KEY],
  ['KMSNotFoundException', KEY],
  ['InvalidParameterValueException', REJECTED],
  ['InvalidRuntimeException', REJECTED],
  ['InvalidSecurityGroupIDException', REJECTED],
  ['InvalidSubnetIDException', REJECTED],
  ['InvalidZipFileException', REJECTED],
  ['RecursiveInvocationException', REJECTED],
  ['UnsupportedMediaTypeException', REJECTED],
]);

/** Errors about the size of one event: other events of the same function go through. */
const EVENT_TOO_LARGE: ReadonlySet<string> = new Set([
  'RequestTooLargeException',
  'RequestEntityTooLargeException',
  'SerializedRequestEntityTooLargeException',
]);
/** Errors about the content of one event. They count as failures of its messages. */
const EVENT_REFUSED: ReadonlySet<string> = new Set(['InvalidRequestContentException']);

/**
 * A user's function behind Lambda's Invoke API (RequestResponse).
 * @param client made with maxAttempts 1 and a request timeout above the handler's: a repetition by the SDK would run the handler twice
 * @param errorLength characters that are kept of an error's text
 */
export function createLambdaHandler(
  client: LambdaClient,
  functionName: string,
  errorLength = ERROR_LENGTH,
): MessageHandler {
  return {
    async invoke(payload, { timeoutMs, signal }): Promise<HandlerOutcome> {
      const call = new AbortController();
      const abort = (): void => call.abort();
      const timer = setTimeout(abort, timerMs(timeoutMs + MAX_START_MS));
      const unlink = onAbort(signal, abort);
      try {
        signal?.throwIfAborted();
        const command = new InvokeCommand({
          FunctionName: functionName,
          InvocationType: 'RequestResponse',
          Payload: Buffer.from(payload.json()),
        });
        if (payload.traceHeader !== undefined) goOnWith(command, payload.traceHeader);
        const answer = await client.send(command, { abortSignal: call.signal });
        const text = Buffer.from(answer.Payload ?? []).toString('utf8');
        if (answer.FunctionError !== undefined)
          return { kind: 'failed', ...readFailure(text, answer.FunctionError, errorLength) };
        return { kind: 'answered', answer: readJson(text) };
      } catch (cause) {
        if (signal?.aborted === true) throw signal.reason;
        const error = cause instanceof Error ? cause : new Error(String(cause));
        if (EVENT_TOO_LARGE.has(error.name))
          return { kind: 'too-large', error: explain(functionName, error, TOO_LARGE) };
        if (EVENT_REFUSED.has(error.name))
          return {
            kind: 'failed',
            errorType: error.name,
            errorMessage: error.message.slice(0, errorLength),
          };
        const misconfiguration = MISCONFIGURED.get(error.name);
        if (misconfiguration !== undefined)
          return { kind: 'misconfigured', error: explain(functionName, error, misconfiguration) };
        if (!call.signal.aborted) return { kind: 'unavailable', error, mayRun: mayRun(error) };
        return {
          kind: 'unavailable',
          error: new Error(
            `${functionName} gave no answer long after its timeout of ${timeoutMs} ms`,
          ),
        };
      } finally {
        clearTimeout(timer);
        unlink();
      }
    },
  };
}

/** Before the SDK's own step, which passes on the trace of this invocation where the request has none. */
function goOnWith(command: InvokeCommand, traceHeader: string): void {
  command.middlewareStack.add(
    (next) => (args) => {
      (args.request as { readonly headers: Record<string, string> }).headers[TRACE_ID_HEADER] =
        traceHeader;
      return next(args);
    },
    { step: 'build', name: 'traceOfTheProducer', priority: 'high' },
  );
}

/** Nothing of the call was sent. */
const NEVER_SENT: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** Errors with a 5xx status that say that the function was not started: its environment could not be prepared. */
const NOT_STARTED: ReadonlySet<string> = new Set([
  'EC2AccessDeniedException',
  'EC2ThrottledException',
  'EC2UnexpectedException',
  'ENILimitReachedException',
  'ResourceNotReadyException',
  'SubnetIPAddressLimitReachedException',
]);
/** An error of the function's file system, with a status below 500. */
const STARTED = 'EFSIOException';

/**
 * May the function be at work with the event? Lambda's refusals say that it was not called. An internal error, the answer of a proxy, or a connection
 * that broke do not.
 */
function mayRun(
  error: Error & {
    readonly $metadata?: { readonly httpStatusCode?: number };
    readonly code?: unknown;
  },
): boolean {
  const status = error.$metadata?.httpStatusCode;
  if (status === undefined) return !NEVER_SENT.has(error.code);
  return status >= 500 ? !NOT_STARTED.has(error.name) : error.name === STARTED;
}

function explain(
  functionName: string,
  cause: Error,
  { code, advice }: Misconfiguration,
): RocketMQError {
  return new RocketMQError(code, `${functionName}: ${cause.name}: ${cause.message}. ${advice}`, {
    cause,
  });
}

/** Lambda puts `{errorType, errorMessage}` into the payload of a failed invocation. */
function readFailure(
  text: string,
  functionError: string,
  errorLength: number,
): { errorType: string; errorMessage: string } {
  const failure = readJson(text);
  const { errorType = functionError, errorMessage = text } = (
    typeof failure === 'object' && failure !== null ? failure : {}
  ) as Record<string, unknown>;
  return {
    errorType: asText(errorType).slice(0, ERROR_LENGTH),
    errorMessage: asText(errorMessage).slice(0, errorLength),
  };
}

/** Runtimes of users' own may put any JSON there. */
function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A payload that is no JSON is no allowed answer either: it comes back as the text it is. */
function readJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
