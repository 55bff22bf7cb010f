import type { RocketMQ } from '../ports/rocketmq.ts';

/** One client per cluster, opened when first asked for; closed together. */
export function clientPerCluster(open: (cluster: string) => RocketMQ): {
  readonly clients: (cluster: string) => RocketMQ;
  readonly close: () => Promise<void>;
} {
  const opened = new Map<string, RocketMQ>();
  return {
    clients(cluster) {
      const client = opened.get(cluster) ?? open(cluster);
      opened.set(cluster, client);
      return client;
    },
    async close() {
      await Promise.allSettled([...opened.values()].map((client) => client.close()));
    },
  };
}
