import { readFileSync } from 'node:fs';
import { normalName } from '../model/broker-entry.ts';

const HOSTS_FILE =
  process.platform === 'win32'
    ? `${process.env.SystemRoot ?? 'C:\\Windows'}\\System32\\drivers\\etc\\hosts`
    : '/etc/hosts';

/** Addresses that this machine's hosts file has for a name; none where it cannot be read. */
export function hostsFileAddresses(name: string): readonly string[] {
  try {
    return addressesIn(readFileSync(HOSTS_FILE, 'utf8'), name);
  } catch {
    return [];
  }
}

/** @param hosts text of a hosts file: an address and its names in each line, `#` begins a comment */
export function addressesIn(hosts: string, name: string): readonly string[] {
  const wanted = normalName(name);
  return hosts.split('\n').flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return address !== undefined && names.some((one) => normalName(one) === wanted)
      ? [address]
      : [];
  });
}
