import { ProtocolError } from '../errors.ts';
import type { RemotingCommand } from './command.ts';
import { MAX_HEADER_FIELDS } from './limits.ts';

type Header = Omit<RemotingCommand, 'body'>;

/** Mirrors RemotingSerializable for RemotingCommand: every ext value is a string, absent values are left out. */
export function encodeJsonHeader(command: Header): Buffer {
  const { code, language, version, opaque, flag, remark, extFields } = command;
  const hasFields = Object.keys(extFields).length > 0;
  return Buffer.from(
    JSON.stringify({
      code,
      ...(hasFields ? { extFields } : {}),
      flag,
      language,
      opaque,
      ...(remark === undefined ? {} : { remark }),
      serializeTypeCurrentRPC: 'JSON',
      version,
    }),
  );
}

export function decodeJsonHeader(bytes: Buffer): Header {
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new ProtocolError('the JSON header of a frame does not parse', { cause });
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw new ProtocolError('the JSON header of a frame is no object');
  const fields = header as Record<string, unknown>;
  const remark = fields.remark;
  return {
    code: integer(fields, 'code'),
    language: typeof fields.language === 'string' ? fields.language : 'OTHER',
    version: integer(fields, 'version'),
    opaque: integer(fields, 'opaque'),
    flag: integer(fields, 'flag'),
    remark: typeof remark === 'string' ? remark : undefined,
    extFields: readExtFields(fields.extFields),
  };
}

function integer(fields: Record<string, unknown>, name: string): number {
  const value = fields[name] ?? 0;
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw new ProtocolError(`the JSON header of a frame has no whole number in "${name}"`);
  return value;
}

function readExtFields(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new ProtocolError('the ext fields of a JSON header are no object');
  const fields = Object.entries(value);
  if (fields.length > MAX_HEADER_FIELDS)
    throw new ProtocolError(
      `the JSON header of a frame has ${fields.length} ext fields, more than ${MAX_HEADER_FIELDS}`,
    );
  // Java's clients write strings only; others write numbers and booleans bare. JSON.parse and fromEntries take a key named __proto__ like any other.
  if (fields.every(([, field]) => typeof field === 'string'))
    return value as Record<string, string>;
  return Object.fromEntries(
    fields.filter(([, field]) => field !== null).map(([key, field]) => [key, String(field)]),
  );
}
