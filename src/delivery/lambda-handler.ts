import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import type { HandlerOutcome, MessageHandler } from '../ports/invoke.ts';

/** Errors of the Invoke API that no repetition mends. */
const MISCONFIGURED = new Set([
  'ResourceNotFoundException',
  'AccessDeniedException',
  'UnrecognizedClientException',
  'InvalidSignatureException',
  'InvalidParameterValueException',
  'InvalidRequestContentException',
  'RequestTooLargeException',
  'UnsupportedMediaTypeException',
  'InvalidRuntimeException',
  'InvalidZipFileException',
  'KMSAccessDeniedException',
  'KMSDisabledException',
  'KMSInvalidStateException',
  'KMSNotFoundException',
  'InvalidSecurityGroupIDException',
  'InvalidSubnetIDException',
]);

const ADVICE: Readonly<Record<string, string>> = {
  ResourceNotFoundException: 'The handler function does not exist: deploy it, or correct its name in serverless.yml',
  AccessDeniedException: "The puller's role may not invoke the handler: allow lambda:InvokeFunction on it",
  RequestTooLargeException: 'The event is larger than Lambda takes: lower batchSize',
};

/**
 * A user's function behind Lambda's Invoke API (RequestResponse).
 * @param client made with maxAttempts 1 and a request timeout above the handler's: a repetition by the SDK would run the handler twice
 */
export function createLambdaHandler(client: LambdaClient, functionName: string): MessageHandler {
  return {
    async invoke(payload, { signal }): Promise<HandlerOutcome> {
      try {
        const answer = await client.send(
          new InvokeCommand({ FunctionName: functionName, InvocationType: 'RequestResponse', Payload: Buffer.from(payload.json()) }),
          signal === undefined ? {} : { abortSignal: signal },
        );
        const text = Buffer.from(answer.Payload ?? []).toString('utf8');
        if (answer.FunctionError !== undefined) return { kind: 'failed', ...readFailure(text, answer.FunctionError) };
        return { kind: 'answered', answer: readJson(text) };
      } catch (cause) {
        if (signal?.aborted === true) throw signal.reason;
        const error = cause instanceof Error ? cause : new Error(String(cause));
        if (!MISCONFIGURED.has(error.name)) return { kind: 'unavailable', error };
        const advice = ADVICE[error.name];
        return {
          kind: 'misconfigured',
          error: new Error(`${functionName}: ${error.name}: ${error.message}${advice === undefined ? '' : `. ${advice}`}`, { cause }),
        };
      }
    },
  };
}

/** Lambda puts `{errorType, errorMessage}` into the payload of a failed invocation. */
function readFailure(text: string, functionError: string): { errorType: string; errorMessage: string } {
  const failure = readJson(text);
  const { errorType = functionError, errorMessage = text } = (typeof failure === 'object' && failure !== null ? failure : {}) as Record<
    string,
    unknown
  >;
  return { errorType: String(errorType), errorMessage: String(errorMessage) };
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
