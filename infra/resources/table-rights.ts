import type { ServiceOptions } from '../../src/config/service-options.ts';
import type { ServiceConfig } from '../../src/model/source.ts';
import { partitionKey, tenantPrefix, WITHOUT_TENANT } from '../../src/store/tenant.ts';
import { TABLE } from './names.ts';
import { allow, arnOf, type Statement } from './role.ts';

const READ = ['dynamodb:GetItem', 'dynamodb:Query'] as const;
const WRITE = 'dynamodb:UpdateItem';
const KEY_OF_READERS = ['kms:Decrypt', 'kms:DescribeKey'] as const;
/** What `kms:GenerateDataKey*` and `kms:ReEncrypt*` stand for in AWS's examples, by name. */
const KEY_OF_WRITERS = [
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:GenerateDataKeyWithoutPlaintext',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
] as const;

/** Partitions of the service's groups in earlier builds, whose keys had neither service nor stage. */
function earlierPartitions({ sources }: ServiceConfig): string[] {
  const keys = sources.flatMap((group) => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: IAM reads it as the character itself
    const key = partitionKey(WITHOUT_TENANT, group).replaceAll(/[*?$]/g, '${$&}');
    return [key, `${key}#seats`];
  });
  return [...new Set(keys)];
}

/** A function that makes items looks for those of earlier builds before. */
function earlierItemsStatements(
  table: ServiceOptions['table'],
  config: ServiceConfig,
): Statement[] {
  if (config.earlierItems === 'ignore') return [];
  const actions = config.earlierItems === 'refuse' ? READ : [...READ, WRITE];
  // A table of the service's own has no items of others, and a role has 10,240 characters for all its policies.
  const partitions = table.name === undefined ? ['GROUP#*'] : earlierPartitions(config);
  return [onPartitions(actions, partitions)];
}

function onPartitions(actions: readonly string[], partitions: readonly string[]): Statement {
  return {
    ...allow([...actions], arnOf(TABLE)),
    Condition: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [...partitions] } },
  };
}

/** Rights of functions that make items. */
export function makerStatements(
  table: ServiceOptions['table'],
  config: ServiceConfig,
): Statement[] {
  return [...tableStatements(table, 'write', config), ...earlierItemsStatements(table, config)];
}

/** Use of the service's own items, and of the table's KMS key through DynamoDB alone. */
export function tableStatements(
  { kmsKeyArn }: ServiceOptions['table'],
  access: 'read' | 'write',
  config: ServiceConfig,
): Statement[] {
  const writes = access === 'write';
  const viaDynamodb = {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation fills it in
    'kms:ViaService': { 'Fn::Sub': 'dynamodb.${AWS::Region}.${AWS::URLSuffix}' },
  };
  return [
    onPartitions([...READ, ...(writes ? [WRITE] : [])], [`${tenantPrefix(config)}*`]),
    ...(kmsKeyArn === undefined
      ? []
      : [
          {
            ...allow([...KEY_OF_READERS, ...(writes ? KEY_OF_WRITERS : [])], kmsKeyArn),
            Condition: { StringEquals: viaDynamodb },
          },
        ]),
  ];
}
