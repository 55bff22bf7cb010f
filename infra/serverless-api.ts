/** The part of Serverless (osls 4) that the plugin uses. It ships no types of its own. */

export interface FunctionDefinition {
  handler?: string;
  name?: string;
  runtime?: string;
  timeout?: number;
  memorySize?: number;
  role?: unknown;
  environment?: Record<string, unknown>;
  events?: unknown[];
  package?: { artifact?: string; [key: string]: unknown };
  [key: string]: unknown;
}

export interface CloudFormationResource {
  readonly Type: string;
  readonly [attribute: string]: unknown;
}

export interface Provider {
  runtime?: string;
  region?: string;
  stage?: string;
  timeout?: number;
  environment?: Record<string, unknown>;
  logRetentionInDays?: number;
  vpc?: object;
  layers?: unknown;
  tracing?: { lambda?: unknown };
  iam?: { role?: string | { statements?: object[]; permissionsBoundary?: unknown; path?: string } };
  compiledCloudFormationTemplate: {
    Resources: Record<string, CloudFormationResource>;
    Outputs: Record<string, unknown>;
  };
}

export interface Naming {
  getLambdaLogicalId(functionKey: string): string;
  getLogGroupLogicalId(functionKey: string): string;
}

interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

export interface AwsProvider {
  getStage(): string;
  getRegion(): string;
  readonly naming: Naming;
  /** osls from 4 on. */
  getAwsSdkV3CredentialsProvider?(): () => Promise<AwsCredentials>;
  /** Serverless 3, which has the second SDK: credentials that may have to be fetched first. osls 4 has it too, and it throws. */
  getCredentials?(): { readonly credentials?: AwsCredentials & { getPromise?(): Promise<void> } };
}

export interface Serverless {
  readonly serviceDir: string;
  /** The configuration as it stands before variables of the provider are resolved. */
  readonly configurationInput: {
    functions?: Record<string, FunctionDefinition> | Record<string, FunctionDefinition>[];
    custom?: { readonly rocketmq?: { readonly operator?: unknown } };
  };
  readonly service: {
    readonly service: string;
    readonly functions: Record<string, FunctionDefinition>;
    readonly provider: Provider;
    readonly custom?: Record<string, unknown>;
    readonly resources?: { readonly Resources?: Record<string, { readonly Type?: unknown }> };
    readonly plugins?: readonly string[] | { readonly modules?: readonly string[] };
  };
  readonly processedInput: { readonly options: Record<string, string | undefined> };
  readonly classes: { readonly Error: new (message: string, code: string) => Error };
  readonly configSchemaHandler: {
    defineFunctionEvent(provider: string, name: string, schema: object): void;
  };
  extendConfiguration(path: string[], value: unknown): void;
  getProvider(name: 'aws'): AwsProvider;
}

export interface Log {
  notice(message: string): void;
  warning(message: string): void;
  error(message: string): void;
}
