import type { ClusterConfig, ServiceConfig } from '../model/source.ts';
import type { Arguments } from './arguments.ts';
import type { OperatorDeps } from './operator-deps.ts';

/** The configuration that the function works with, without anything secret: what `--service-file` takes elsewhere. */
export async function config({ service }: OperatorDeps, args: Arguments): Promise<ServiceConfig> {
  args.finish();
  return {
    ...service,
    clusters: Object.fromEntries(
      Object.entries(service.clusters).map(([name, cluster]) => [name, withoutSecrets(cluster)]),
    ),
  };
}

function withoutSecrets({
  credentials: _credentials,
  tls,
  ...cluster
}: ClusterConfig): ClusterConfig {
  if (tls === undefined) return cluster;
  const { clientKey: __, ...open } = tls;
  return { ...cluster, tls: open };
}
