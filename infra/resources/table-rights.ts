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

/** The service's own partitions, and those of its groups in versions whose keys had neither service nor stage. */
function partitions(config: ServiceConfig): string[] {
  const earlier = config.sources.flatMap((group) => {
    const key = partitionKey(WITHOUT_TENANT, group).replaceAll(/[*?$]/g, '${$&}');
    return [key, `${key}#seats`];
  });
  return [`${tenantPrefix(config)}*`, ...new Set(earlier)];
}

/** Use of the assignment table, and of its KMS key through DynamoDB alone. */
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
    {
      ...allow([...READ, ...(writes ? [WRITE] : [])], arnOf(TABLE)),
      Condition: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': partitions(config) } },
    },
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
