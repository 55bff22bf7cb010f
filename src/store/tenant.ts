import type { GroupKey } from '../ports/assignment-store.ts';

/** A deployment of a service: its items stand apart from those of all others in the same table. */
export interface Tenant {
  readonly service: string;
  readonly stage: string;
}

/**
 * Earlier builds of 0.1.0 had neither service nor stage in their keys. Stores of this kind read and write their items.
 * Only tests and the take-over use it.
 */
export const WITHOUT_TENANT = 'without-tenant';
export type KeySpace = Tenant | typeof WITHOUT_TENANT;

/**
 * Every part but the last is escaped, so `#` separates parts only, and an IAM pattern of the prefix has no wildcards in it:
 * `SERVICE#shop#dev#` is no prefix of a key of the services `shop#dev`, `shop-dev` and `shop`, stage `dev2`.
 */
export function tenantPrefix({ service, stage }: Tenant): string {
  return `SERVICE#${escaped(service)}#${escaped(stage)}#`;
}

/** The partition key. A group never contains `#`, apart from the suffix of its slots' partition. */
export function partitionKey(keys: KeySpace, { cluster, consumerGroup }: GroupKey): string {
  return keys === WITHOUT_TENANT
    ? `GROUP#${cluster}#${consumerGroup}`
    : `${tenantPrefix(keys)}GROUP#${escaped(cluster)}#${consumerGroup}`;
}

/** `shop#1` → `shop%231` */
function escaped(part: string): string {
  return part.replaceAll(/[^a-zA-Z0-9_.-]/gu, (character) =>
    Array.from(
      Buffer.from(character, 'utf8'),
      (byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`,
    ).join(''),
  );
}
