import { ConfigError } from '../errors.ts';
import { BROKER_ENTRY, parseBrokerEntry } from '../model/broker-entry.ts';
import type { ClusterConfig } from '../model/source.ts';
import {
  fields,
  filledText,
  listOf,
  objectWith,
  optional,
  refuse,
  rocketmqName,
  text,
  trueOrFalse,
  valuesOf,
} from './check-values.ts';
import { bracketed, parseEndpoint } from './endpoint.ts';

/** A cluster as programs give it: the name servers also as one text, as RocketMQ's own clients take them. */
export interface ClusterOptions extends Omit<ClusterConfig, 'nameServers'> {
  /** `host:port` of every name server: a list, or a text with semicolons (`ns1:9876;ns2:9876`). */
  readonly nameServers: string | readonly string[];
}

const NAME_SERVERS = 'at least one host:port, as a list or as a text (ns1:9876;ns2:9876)';

const addresses = listOf(text, 'strings');

const CLUSTER = {
  nameServers: (value: unknown, place: string): void => {
    if (typeof value !== 'string' && !Array.isArray(value)) refuse(value, place, NAME_SERVERS);
    if (Array.isArray(value)) addresses(value, place);
  },
  credentials: optional(
    fields({ accessKey: filledText, secretKey: filledText, securityToken: optional(text) }),
  ),
  tls: optional(
    fields({
      enabled: optional(trueOrFalse),
      caCertificate: optional(text),
      clientCertificate: optional(text),
      clientKey: optional(text),
      serverName: optional(text),
      verify: optional(trueOrFalse),
    }),
  ),
  secrets: optional(objectWith({}, 'an object')),
  addressMap: optional(valuesOf(text, 'an object of announced address: address')),
  brokers: optional((value, place) => {
    addresses(value, place);
    if ((value as readonly string[]).length === 0) refuse(undefined, place, BROKER_ENTRY);
    for (const [index, entry] of (value as readonly string[]).entries())
      if (parseBrokerEntry(entry) === undefined) refuse(entry, `${place}[${index}]`, BROKER_ENTRY);
  }),
  namespace: optional((value, place) => {
    if (value !== '') rocketmqName(value, place);
  }),
};

/**
 * @param more fields of the caller's own, beside the cluster's
 * @throws ConfigError that names the field
 */
export function checkCluster<Options extends ClusterOptions>(
  options: Options,
  more: Parameters<typeof fields>[0] = {},
): Omit<Options, 'nameServers'> & ClusterConfig {
  fields({ ...CLUSTER, ...more }, 'an object with nameServers')(options, 'options');
  const nameServers = addressesOf(options.nameServers);
  if (nameServers.length === 0) refuse(undefined, 'options.nameServers', NAME_SERVERS);
  for (const [index, address] of nameServers.entries())
    checkAddress(address, `options.nameServers[${index}]`);
  for (const [announced, address] of Object.entries(options.addressMap ?? {})) {
    checkAddress(bracketed(announced), 'a name in options.addressMap');
    checkAddress(address, `options.addressMap.${announced}`);
  }
  return { ...options, nameServers };
}

function checkAddress(address: string, place: string): void {
  try {
    parseEndpoint(address);
  } catch (error) {
    throw new ConfigError(`${place}: ${(error as Error).message}`, { cause: error });
  }
}

function addressesOf(nameServers: string | readonly string[]): readonly string[] {
  return typeof nameServers === 'string'
    ? nameServers
        .split(';')
        .map((address) => address.trim())
        .filter((address) => address !== '')
    : nameServers;
}
