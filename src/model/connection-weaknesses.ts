import type { ClusterConfig } from './source.ts';

/** A setting with which others can read what a client sends, or stand in for its servers. */
export interface Weakness {
  readonly text: string;
  /** What to do. */
  readonly fix: string;
}

/** What packaging and `doctor` warn of. */
export function connectionWeaknesses({
  credentials,
  secrets,
  tls,
}: Pick<ClusterConfig, 'credentials' | 'secrets' | 'tls'>): Weakness[] {
  const isSecure = tls?.enabled === true || secrets?.tls !== undefined;
  const signs = credentials !== undefined || secrets?.credentials !== undefined;
  return [
    ...(signs && !isSecure
      ? [
          {
            text: 'credentials without tls: the access key, signed requests and messages can be read and repeated on the way',
            fix: 'enable tls on name servers and brokers, and set tls of the cluster',
          },
        ]
      : []),
    ...(isSecure && tls?.verify === false
      ? [
          {
            text: 'tls.verify: false: any certificate is accepted, so anyone on the way can answer for name servers and brokers',
            fix: 'give the authority as tls.caCertificate, and tls.serverName where the certificate has another name',
          },
        ]
      : []),
  ];
}
