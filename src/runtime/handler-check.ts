import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';

const ADVICE: Readonly<Record<string, string>> = {
  ResourceNotFoundException: 'there is no such function: deploy the service again',
  AccessDeniedException: 'it may not be invoked: lambda:InvokeFunction is missing in the role',
};

/** Asks Lambda whether a function is there and may be invoked, without invoking it (InvocationType DryRun). Undefined: yes. */
export function createHandlerCheck(
  client: LambdaClient,
): (functionName: string) => Promise<{ why: string } | undefined> {
  return async (functionName) => {
    try {
      await client.send(
        new InvokeCommand({ FunctionName: functionName, InvocationType: 'DryRun' }),
      );
      return undefined;
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(String(error));
      return { why: `${ADVICE[name] ?? message} (${name})` };
    }
  };
}
