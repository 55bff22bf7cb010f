import { variableOf } from '../../src/model/deployed-value.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import type { CloudFormationResource, Naming, Provider } from '../serverless-api.ts';
import type { FunctionNaming } from './names.ts';

export interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: object;
}

export function allow(actions: readonly string[], resource: unknown): Statement {
  return { Effect: 'Allow', Action: actions, Resource: resource };
}

export const arnOf = (logicalId: string): object => ({ 'Fn::GetAtt': [logicalId, 'Arn'] });

/** Invoking exactly these functions, by their keys under `functions:`. */
export function invokeStatements(naming: Naming, keys: readonly string[]): Statement[] {
  if (keys.length === 0) return [];
  return [
    allow(
      ['lambda:InvokeFunction'],
      keys.map((key) => arnOf(naming.getLambdaLogicalId(key))),
    ),
  ];
}

/** A role of one function: what its code needs, its own log group, and what the provider's settings make Lambda need. */
export function functionRole(
  key: string,
  naming: FunctionNaming,
  statements: readonly unknown[],
  provider: Provider,
): CloudFormationResource {
  return role(
    'lambda.amazonaws.com',
    {},
    [
      allow(['logs:CreateLogStream', 'logs:PutLogEvents'], arnOf(naming.getLogGroupLogicalId(key))),
      ...statements,
      ...platformStatements(naming.getFunctionName(key), provider),
    ],
    provider,
  );
}

/**
 * The role that EventBridge Scheduler invokes a function with. Schedules of other accounts and of other schedule groups
 * cannot use it. Scheduler sends the ARN of the group as aws:SourceArn, never that of the schedule.
 */
export function schedulerRole(
  functionLogicalId: string,
  scheduleGroupLogicalId: string,
  provider: Provider,
): CloudFormationResource {
  const condition = {
    StringEquals: {
      'aws:SourceAccount': { Ref: 'AWS::AccountId' },
      'aws:SourceArn': {
        'Fn::Sub': `arn:\${AWS::Partition}:scheduler:\${AWS::Region}:\${AWS::AccountId}:schedule-group/\${${scheduleGroupLogicalId}}`,
      },
    },
  };
  return role(
    'scheduler.amazonaws.com',
    { Condition: condition },
    [allow(['lambda:InvokeFunction'], arnOf(functionLogicalId))],
    provider,
  );
}

function role(
  service: string,
  trust: object,
  statements: readonly unknown[],
  provider: Provider,
): CloudFormationResource {
  const shared = typeof provider.iam?.role === 'object' ? provider.iam.role : {};
  return {
    Type: 'AWS::IAM::Role',
    Properties: {
      ...(shared.path === undefined ? {} : { Path: shared.path }),
      ...(shared.permissionsBoundary === undefined
        ? {}
        : { PermissionsBoundary: shared.permissionsBoundary }),
      AssumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Principal: { Service: service }, Action: 'sts:AssumeRole', ...trust },
        ],
      },
      Policies: [
        {
          PolicyName: 'rocketmq',
          PolicyDocument: { Version: '2012-10-17', Statement: statements },
        },
      ],
    },
  };
}

/** EC2's network interface actions (for a VPC) and X-Ray's have no resources to name: AWS asks for `*`. */
function platformStatements(functionName: string, provider: Provider): Statement[] {
  return [
    ...(Object.keys(provider.vpc ?? {}).length === 0 ? [] : vpcStatements(functionName)),
    ...(provider.tracing?.lambda
      ? [allow(['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], '*')]
      : []),
  ];
}

const NETWORK_INTERFACE_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
] as const;

/**
 * Lambda itself manages network interfaces with the role of the function. Requests that code in the function
 * sends have `lambda:SourceFunctionArn`, and are denied. The ARN is written out: the function depends on its role.
 */
function vpcStatements(functionName: string): Statement[] {
  const functionArn = {
    'Fn::Sub': `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function:${functionName}`,
  };
  return [
    allow(NETWORK_INTERFACE_ACTIONS, '*'),
    {
      Effect: 'Deny',
      Action: [...NETWORK_INTERFACE_ACTIONS, 'ec2:DetachNetworkInterface'],
      Resource: '*',
      Condition: { ArnEquals: { 'lambda:SourceFunctionArn': functionArn } },
    },
  ];
}

/** Reading of exactly the secrets that the clusters name, and use of exactly the keys that they name, by the stores alone. */
export function secretStatements(clusters: ServiceConfig['clusters']): Statement[] {
  const references = Object.values(clusters).flatMap(({ secrets = {} }) => Object.values(secrets));
  const once = (resources: readonly unknown[]): unknown[] => [
    ...new Map(resources.map((each) => [JSON.stringify(each), each])).values(),
  ];
  const secrets = once(
    references.flatMap((reference) => ('secretArn' in reference ? [reference.secretArn] : [])),
  );
  const parameters = once(
    references.flatMap((reference) =>
      'ssmParameter' in reference ? [parameterArn(reference.ssmParameter)] : [],
    ),
  );
  const keys = once(references.flatMap(({ kmsKeyArn }) => kmsKeyArn ?? []));
  const viaStores = {
    'kms:ViaService': ['secretsmanager', 'ssm'].map((store) => ({
      'Fn::Sub': `${store}.\${AWS::Region}.\${AWS::URLSuffix}`,
    })),
  };
  return [
    ...(secrets.length === 0 ? [] : [allow(['secretsmanager:GetSecretValue'], secrets)]),
    ...(parameters.length === 0 ? [] : [allow(['ssm:GetParameters'], parameters)]),
    ...(keys.length === 0
      ? []
      : [{ ...allow(['kms:Decrypt'], keys), Condition: { StringEquals: viaStores } }]),
  ];
}

/** A parameter's name is of the stack's own account and region. */
function parameterArn(parameter: string): unknown {
  if (parameter.startsWith('arn:')) return parameter;
  // A reference to a parameter gives its name, which begins with a slash.
  if (variableOf(parameter) !== undefined)
    return {
      'Fn::Sub': [
        // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation fills it in
        'arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter${Parameter}',
        { Parameter: parameter },
      ],
    };
  return {
    'Fn::Sub': `arn:\${AWS::Partition}:ssm:\${AWS::Region}:\${AWS::AccountId}:parameter/${parameter.replace(/^\//, '')}`,
  };
}
