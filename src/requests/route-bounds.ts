import { RouteRefusedError } from '../errors.ts';

/*
 * What is believed of a name server. Every queue becomes an object, an item of the table and perhaps an
 * invocation, and names stand in keys, log lines, terminals and metric dimensions.
 */

/** Queues of a topic over all brokers. */
export const MAX_QUEUES = 10_000;
/** Brokers, and entries of queue counts, in a route or a cluster. */
export const MAX_BROKERS = 1_000;
/** Addresses of one broker: its master and its slaves. */
export const MAX_ADDRESSES = 64;
/** Bytes. */
export const MAX_NAME_BYTES = 255;
/** A host name of DNS, brackets, a zone and a port fit. */
export const MAX_ADDRESS_LENGTH = 300;
/** `broker:queues;…` of every broker. */
export const MAX_ORDER_CONF_LENGTH = MAX_BROKERS * 300;

/** Letters and digits of any script. `/` and `#` divide keys. */
const NAME = /^[\p{L}\p{N}_.%|:@+~()-]+$/u;
const PRINTABLE = /^[^\p{C}\p{Z}]+$/u;
const MAX_SHOWN = 60;

export function checkCount(count: number, max: number, what: string): void {
  if (count > max) throw new RouteRefusedError(`${count} ${what}, more than ${max}`);
}

/** @param what names the field */
export function checkName(name: string, what: string): string {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES)
    throw new RouteRefusedError(`${what} of ${name.length} characters, ${shown(name)}`);
  if (!NAME.test(name)) throw new RouteRefusedError(`${what} ${shown(name)} is not a valid name`);
  return name;
}

/** What stands in it is looked at when it is dialled. */
export function checkAddress(address: string): string {
  if (address.length > MAX_ADDRESS_LENGTH)
    throw new RouteRefusedError(
      `broker address of ${address.length} characters, ${shown(address)}`,
    );
  if (address !== '' && !PRINTABLE.test(address))
    throw new RouteRefusedError(`broker address ${shown(address)} has unprintable characters`);
  return address;
}

/** As JSON in ASCII: the error's message goes to logs and terminals. */
export function shown(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return JSON.stringify(cut).replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
