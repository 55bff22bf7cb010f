import type { ServiceOptions } from '../../src/config/service-options.ts';
import { TTL_ATTRIBUTE, tableDefinition } from '../../src/store/table.ts';
import type { CloudFormationResource } from '../serverless-api.ts';

/**
 * The assignment table. CloudFormation names it, so that a retained table never stands in the way of the next deployment;
 * committed offsets are at the brokers, so that a new table loses nothing.
 */
export function tableResource(
  options: ServiceOptions['table'],
  tags: ServiceOptions['tags'] = {},
): CloudFormationResource {
  const policy = options.retain ? 'Retain' : 'Delete';
  const { TableName: _, ...definition } = tableDefinition('');
  return {
    Type: 'AWS::DynamoDB::Table',
    DeletionPolicy: policy,
    UpdateReplacePolicy: policy,
    Properties: {
      ...definition,
      TimeToLiveSpecification: { AttributeName: TTL_ATTRIBUTE, Enabled: true },
      ...(Object.keys(tags).length === 0
        ? {}
        : { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }),
      ...(options.pointInTimeRecovery
        ? { PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true } }
        : {}),
      ...(options.deletionProtection ? { DeletionProtectionEnabled: true } : {}),
      ...(options.kmsKeyArn === undefined
        ? {}
        : {
            SSESpecification: {
              SSEEnabled: true,
              SSEType: 'KMS',
              KMSMasterKeyId: options.kmsKeyArn,
            },
          }),
    },
  };
}
