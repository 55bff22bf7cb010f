import type { ServiceOptions } from '../../src/config/service-options.ts';
import { isLimited, type ServiceConfig } from '../../src/model/source.ts';
import { ENVIRONMENT } from '../../src/runtime/environment.ts';
import type { CloudFormationResource, FunctionDefinition, Provider } from '../serverless-api.ts';
import { type FunctionNaming, PULLER, TABLE } from './names.ts';
import { allow, functionRole, invokeStatements, type Statement, secretStatements } from './role.ts';
import { makerStatements, tableStatements } from './table-rights.ts';

const ROLE = 'RocketmqPullerRole';

/** What the handlers of the service ask of the puller. */
export interface PullerNeeds {
  /** Keys of the functions that it invokes. */
  readonly invoked: readonly string[];
  /** Keys of the functions whose handlers are bundled into it. */
  readonly inline: readonly string[];
}

/**
 * The puller as a function of serverless.yml. Never retried and soon too old: the coordinator starts another one, and an invocation
 * that arrives late would find its queues taken.
 */
export function pullerFunction(
  options: ServiceOptions['puller'],
  environment: Record<string, unknown>,
): FunctionDefinition {
  return {
    description: 'serverless-rocketmq: pulls messages and gives them to their handlers',
    timeout: options.timeout,
    memorySize: options.memorySize,
    ...(options.reservedConcurrency === undefined
      ? {}
      : { reservedConcurrency: options.reservedConcurrency }),
    role: { 'Fn::Sub': `\${${ROLE}.Arn}` },
    environment: { ...environment, [ENVIRONMENT.table]: { Ref: TABLE } },
    maximumRetryAttempts: 0,
    maximumEventAge: 60,
  };
}

export function pullerResources(
  naming: FunctionNaming,
  provider: Provider,
  { invoked, inline }: PullerNeeds,
  config: ServiceConfig,
  table: ServiceOptions['table'],
): Record<string, CloudFormationResource> {
  const { clusters, sources } = config;
  const statements = [
    // Query: a member of a shared group (coexist) reads the assignments of its slot.
    // Pullers of limited groups make the items of their slots.
    ...(sources.some(isLimited)
      ? makerStatements(table, config)
      : tableStatements(table, 'write', config)),
    ...invokeStatements(naming, invoked),
    ...(inline.length === 0 ? [] : sharedStatements(provider)),
    ...secretStatements(clusters),
    ...destinationStatements(sources),
    ...bodyStatements(sources),
  ];
  return { [ROLE]: functionRole(PULLER, naming, statements, provider) };
}

/** Giving to exactly the destinations that events name. */
function destinationStatements(sources: ServiceConfig['sources']): Statement[] {
  const named = sources.flatMap(({ subscriptions }) =>
    subscriptions.flatMap(({ onFailure }) => onFailure ?? []),
  );
  const arns = (type: string): string[] => [
    ...new Set(
      named.flatMap((one) => (one.type === type && one.type !== 'topic' ? [one.arn] : [])),
    ),
  ];
  const rights = [
    allow(['sqs:SendMessage'], arns('sqs')),
    allow(['sns:Publish'], arns('sns')),
    allow(
      ['s3:PutObject'],
      arns('s3').map((arn) => `${arn}/*`),
    ),
  ];
  return rights.filter(({ Resource }) => (Resource as readonly string[]).length > 0);
}

/** Putting bodies where events with `s3PointerThreshold` want them; nobody here reads or deletes them. */
function bodyStatements(sources: ServiceConfig['sources']): Statement[] {
  const places = sources.flatMap(({ subscriptions }) =>
    subscriptions.flatMap(({ s3PointerThreshold: to }) =>
      to === undefined ? [] : [`${to.bucket}/${to.prefix}/*`],
    ),
  );
  return places.length === 0 ? [] : [allow(['s3:PutObject'], [...new Set(places)])];
}

/** An inline handler runs with the puller's role, so the puller needs what serverless.yml gives to its functions. */
function sharedStatements(provider: Provider): object[] {
  return typeof provider.iam?.role === 'object' ? (provider.iam.role.statements ?? []) : [];
}
