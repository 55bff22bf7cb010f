import { createHmac } from 'node:crypto';
import type { Credentials } from '../model/source.ts';

const ACCESS_KEY = 'AccessKey';
const SECURITY_TOKEN = 'SecurityToken';
const SIGNATURE = 'Signature';

/**
 * Adds access key, security token and signature to the ext fields of a request: base64 of HMAC-SHA1 over all field values in the order of
 * their names (UTF-16), then the body. It must come last: a field that is added later spoils the signature. Mirrors AclClientRPCHook, AclUtils and AclSigner.
 */
export function signRequest(
  extFields: Readonly<Record<string, string>>,
  body: Buffer | undefined,
  credentials: Credentials,
): Record<string, string> {
  const fields: Record<string, string> = { ...extFields, [ACCESS_KEY]: credentials.accessKey };
  if (credentials.securityToken !== undefined) fields[SECURITY_TOKEN] = credentials.securityToken;
  delete fields[SIGNATURE];
  const hmac = createHmac('sha1', credentials.secretKey);
  // Array.prototype.sort compares UTF-16 units, as Java's TreeMap<String, …> does.
  for (const name of Object.keys(fields).sort()) hmac.update(fields[name] as string, 'utf8');
  if (body !== undefined) hmac.update(body);
  fields[SIGNATURE] = hmac.digest('base64');
  return fields;
}
