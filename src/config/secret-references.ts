import type { ClusterConfig, ClusterSecrets } from '../model/source.ts';
import type { ServiceOptions } from './service-options.ts';

/** A cluster as coordinator and puller know it: references to secrets stand apart from what is known already. */
export function withReferences({
  credentials,
  tls,
  ...cluster
}: ServiceOptions['clusters'][string]): ClusterConfig {
  const { secretArn, ssmParameter, kmsKeyArn, ...known } = tls ?? {};
  const key = kmsKeyArn === undefined ? {} : { kmsKeyArn };
  const secrets: ClusterSecrets = {
    ...(credentials !== undefined && !('accessKey' in credentials) ? { credentials } : {}),
    ...(secretArn === undefined ? {} : { tls: { secretArn, ...key } }),
    ...(ssmParameter === undefined ? {} : { tls: { ssmParameter, ...key } }),
  };
  return {
    ...cluster,
    ...(credentials !== undefined && 'accessKey' in credentials ? { credentials } : {}),
    ...(tls === undefined ? {} : { tls: { ...known, enabled: tls.enabled } }),
    ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
  };
}
