import type { RocketMQRecord } from '../model/event.ts';

/** The part of Standard Schema v1 that is used here (standardschema.dev): zod, valibot, ArkType and others have it. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
      }[];
    };

/** `text`: as it came, UTF-8. `binary`: its bytes. `json`: parsed. A schema: parsed, and as the schema gives it. */
export type BodyFormat = 'text' | 'binary' | 'json' | StandardSchema;

/** What the body becomes. */
export type BodyOf<Format extends BodyFormat> = Format extends 'text'
  ? string
  : Format extends 'binary'
    ? Buffer
    : Format extends StandardSchema<infer Output>
      ? Output
      : unknown;

/** A body that is not what the handler takes. It will not be at its next delivery either. */
export class InvalidBodyError extends Error {
  readonly record: RocketMQRecord;
  constructor(record: RocketMQRecord, reason: string, options?: ErrorOptions) {
    super(`message ${record.messageId} (${record.receiptHandle}): ${reason}`, options);
    this.name = 'InvalidBodyError';
    this.record = record;
  }
}

/** @throws InvalidBodyError */
export async function parseBody<Format extends BodyFormat>(
  record: RocketMQRecord,
  format: Format,
): Promise<BodyOf<Format>> {
  return (await parse(record, format)) as BodyOf<Format>;
}

async function parse(record: RocketMQRecord, format: BodyFormat): Promise<unknown> {
  const { body } = record;
  const isText = record.rocketmq.bodyEncoding === 'utf8';
  if (format === 'binary') return Buffer.from(body, isText ? 'utf8' : 'base64');
  if (!isText)
    throw new InvalidBodyError(record, 'its body is binary, no text: take body: "binary"');
  if (format === 'text') return body;
  const value = parseJson(record);
  if (format === 'json') return value;
  const result = await format['~standard'].validate(value);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(({ message, path }) => `${pathText(path)}${message}`);
  throw new InvalidBodyError(record, `its body is not as the schema says: ${issues.join('; ')}`);
}

function parseJson(record: RocketMQRecord): unknown {
  try {
    return JSON.parse(record.body);
  } catch (cause) {
    throw new InvalidBodyError(record, `its body is no JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function pathText(path: readonly (PropertyKey | { readonly key: PropertyKey })[] = []): string {
  const keys = path.map((part) => String(typeof part === 'object' ? part.key : part));
  return keys.length === 0 ? '' : `${keys.join('.')}: `;
}
