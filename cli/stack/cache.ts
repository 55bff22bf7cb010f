import { homedir } from 'node:os';
import path from 'node:path';

/** The broker version that the tests run on; others are fetched on request. */
export const ROCKETMQ_VERSION = '5.5.0';
/** All that the tests run on (`npm run test:matrix`), the newest first: the last of 4.9 and of 5.3 that are complete on Maven Central. */
export const TESTED_VERSIONS = [ROCKETMQ_VERSION, '5.3.3', '4.9.7'] as const;
/** 3.3.1 is newer and does not resolve from Maven Central alone. */
export const DYNAMODB_LOCAL_VERSION = '3.1.0';

/** Where the artifacts are kept, outside the repo's tree: `ROCKETMQ_STACK_CACHE`, or the user's cache folder. */
export function cacheFolder(): string {
  return (
    process.env.ROCKETMQ_STACK_CACHE ??
    path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'serverless-rocketmq')
  );
}

/** One set of jars: its coordinates and where they lie. */
export interface StackPart {
  /** For people. */
  readonly name: string;
  readonly folder: string;
  /** Maven coordinates, group:artifact:version. */
  readonly artifacts: readonly string[];
}

export function rocketmqPart(version: string = ROCKETMQ_VERSION): StackPart {
  return {
    name: `RocketMQ ${version}`,
    folder: path.join(cacheFolder(), `rocketmq-${version}`),
    artifacts: ['rocketmq-namesrv', 'rocketmq-broker', 'rocketmq-tools'].map(
      (artifact) => `org.apache.rocketmq:${artifact}:${version}`,
    ),
  };
}

export function dynamodbLocalPart(): StackPart {
  return {
    name: `DynamoDB Local ${DYNAMODB_LOCAL_VERSION}`,
    folder: path.join(cacheFolder(), `dynamodb-local-${DYNAMODB_LOCAL_VERSION}`),
    artifacts: [`software.amazon.dynamodb:DynamoDBLocal:${DYNAMODB_LOCAL_VERSION}`],
  };
}

/** Written last, so that a folder with it is complete. */
export function stampFile(part: StackPart): string {
  return path.join(part.folder, 'complete');
}
