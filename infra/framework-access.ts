import type { AwsAccess } from '../src/runtime/aws-clients.ts';
import type { AwsProvider } from './serverless-api.ts';

/**
 * The account that Serverless deploys to: its region, and credentials by its own rules (--aws-profile, AWS_<STAGE>_PROFILE, AWS_PROFILE,
 * provider.profile …), so that a command goes where `serverless deploy` went. They are asked for when they are needed, and not before.
 */
export function frameworkAccess(provider: AwsProvider): AwsAccess {
  const region = provider.getRegion();
  if (provider.getAwsSdkV3CredentialsProvider !== undefined)
    return { region, credentials: provider.getAwsSdkV3CredentialsProvider() };
  return {
    region,
    async credentials() {
      const { credentials } = provider.getCredentials?.() ?? {};
      await credentials?.getPromise?.();
      if (credentials?.accessKeyId === undefined)
        throw Object.assign(new Error('Serverless found no AWS credentials'), {
          name: 'CredentialsProviderError',
        });
      const { accessKeyId, secretAccessKey, sessionToken } = credentials;
      return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
    },
  };
}
