import { hash } from 'node:crypto';

/*
 * Names of AWS that are made of texts of producers, brokers and serverless.yml. This is the only place that makes them.
 * A text that a name may have stays as it is. Any other becomes `<start of it, cleaned><mark><digest of the whole text>`.
 * No text with the mark stays as it is where messages are held apart, so two texts never have one name there.
 */

declare const made: unique symbol;
type Name<Kind extends string> = string & { readonly [made]: Kind };

/** Key of an S3 object: at most 1,024 bytes. */
export type ObjectKey = Name<'object key'>;
/** Of a FIFO queue of SQS: 1 to 128 letters, digits and ASCII punctuation marks. */
export type MessageGroupId = Name<'message group'>;
/** Of a FIFO queue of SQS, with the same characters. */
export type DeduplicationId = Name<'deduplication id'>;
/** Value of a dimension of CloudWatch: 1 to 1,024 printable ASCII characters. */
export type DimensionValue = Name<'dimension value'>;

interface Alphabet {
  /** What may not be in a name, or is the mark. */
  readonly others: RegExp;
  readonly mark: string;
  readonly maxLength: number;
}

/**
 * What S3 calls safe, without a slash. Prefix (at most 400), four parts of at most 128 and the rest stay below 1,024 bytes.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
 */
const KEY_PART: Alphabet = { others: /[^\w.-]/g, mark: '!', maxLength: 128 };
/** Of texts that hyphens join. */
const HYPHENLESS: Alphabet = { ...KEY_PART, others: /[^\w.]/g };
/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html */
const GROUP: Alphabet = { others: /[^!-}]/g, mark: '~', maxLength: 128 };
/**
 * A name stays as it is when it is cleaned again: templates and functions both do it. Dimensions hold no messages apart.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html
 */
const DIMENSION: Alphabet = { others: /[^ -~]/g, mark: '~', maxLength: 1024 };

/** Hexadecimal digits of SHA-256: two texts with one digest are not found. */
const DIGEST_LENGTH = 32;

function digest(text: string): string {
  // As JSON, in which halves of surrogate pairs differ.
  return hash('sha256', JSON.stringify(text)).slice(0, DIGEST_LENGTH);
}

function nameOf(text: string, { others, mark, maxLength }: Alphabet): string {
  // Alone or in a row, dots are folders of a path. Blanks alone are no value of a dimension.
  const isPlain = text.length <= maxLength && text.search(others) < 0 && !/^(\.+| *)$/.test(text);
  if (isPlain) return text;
  const start = text.slice(0, maxLength - DIGEST_LENGTH - mark.length).replaceAll(others, '_');
  return `${start}${mark}${digest(text)}`;
}

/** The start of a text for people, before a digest of what the name is for. It tells no texts apart. */
function labelOf(text: string, { others, maxLength }: Alphabet): string {
  return text.slice(0, maxLength).replaceAll(others, '_');
}

/** A text of a part that hyphens join. */
export type JoinedName = string | Hyphened;

/** One that keeps its hyphens, as names of brokers have them. Only the first of a part does: each text is found again. */
export interface Hyphened {
  readonly hyphened: string;
}

/** Texts that become one part, joined by hyphens. */
export type KeyPart = string | readonly JoinedName[] | TimedPart;

export interface TimedPart {
  /** Of the same length always, and not a text of others. */
  readonly time: string;
  readonly names: readonly JoinedName[];
}

/**
 * @param prefix of the configuration, checked there; at most 400 characters
 * @param parts texts of anybody, at most four of them long; none brings a slash. Two lists of the same form never become one part
 */
export function objectKey(prefix: string, parts: readonly KeyPart[]): ObjectKey {
  const cleaned = parts.map((part) => {
    if (typeof part === 'string') return nameOf(part, KEY_PART);
    return 'time' in part ? `${nameOf(part.time, KEY_PART)}-${joined(part.names)}` : joined(part);
  });
  return [prefix, ...cleaned].join('/') as ObjectKey;
}

function joined(names: readonly JoinedName[]): string {
  const first = names.find((name) => typeof name !== 'string');
  return names
    .map((name) =>
      typeof name === 'string'
        ? nameOf(name, HYPHENLESS)
        : nameOf(name.hyphened, name === first ? KEY_PART : HYPHENLESS),
    )
    .join('-');
}

/** The same, whose last part is told apart by its hexadecimal digest alone. */
export function digestKey(
  prefix: string,
  parts: readonly string[],
  label: string,
  hexDigest: string,
): ObjectKey {
  return `${objectKey(prefix, parts)}/${labelOf(label, KEY_PART)}-${hexDigest}` as ObjectKey;
}

export function messageGroupId(text: string): MessageGroupId {
  return nameOf(text, GROUP) as MessageGroupId;
}

/** @param identity what makes a message this one and no other */
export function deduplicationId(identity: readonly (string | number)[]): DeduplicationId {
  return hash('sha256', JSON.stringify(identity)) as DeduplicationId;
}

export function dimensionValue(text: string): DimensionValue {
  return nameOf(text, DIMENSION) as DimensionValue;
}
