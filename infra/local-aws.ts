import type { AwsAccess } from '../src/runtime/aws-clients.ts';

/** Where nobody checks them, but the SDK wants to sign. */
export const LOCAL_CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' };
const LOCAL_REGION = 'us-east-1';
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]', '0.0.0.0']);

export function isLoopback(endpoint: string | undefined): boolean {
  return endpoint !== undefined && LOOPBACK.has(new URL(endpoint).hostname);
}

/** Access to a table on this machine: nobody should need an account for it. Credentials that there are still count; DynamoDB Local keeps tables by them. */
export function localTableAccess(
  given: AwsAccess,
  env: NodeJS.ProcessEnv = process.env,
): AwsAccess {
  if (!isLoopback(env.AWS_ENDPOINT_URL_DYNAMODB ?? env.AWS_ENDPOINT_URL)) return given;
  const region = given.region ?? env.AWS_REGION ?? LOCAL_REGION;
  const { credentials, profile } = given;
  if (credentials !== undefined)
    return { ...given, region, credentials: () => credentials().catch(() => LOCAL_CREDENTIALS) };
  const named = [profile, env.AWS_PROFILE, env.AWS_ACCESS_KEY_ID].some(
    (name) => name !== undefined,
  );
  return named ? given : { region, credentials: async () => LOCAL_CREDENTIALS };
}
