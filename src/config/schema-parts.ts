import { z } from 'zod';
import { variableOf } from '../model/deployed-value.ts';
import { nearest } from './nearest.ts';

/**
 * The parts that option schemas are made of. An issue's message says what to give ("a whole number from 1 to 32");
 * problems.ts puts the option's path and its wrong value before it.
 */

/** An object whose unknown options are errors that name the nearest known one: a line per unknown option. */
export function options<S extends z.core.$ZodLooseShape>(shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key: string) => unknownOption(key, known)).join('\n')
        : `the options ${known.join(', ')}`,
  });
}

export function unknownOption(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return meant === undefined
    ? `${key} is not an option; the options here are ${known.join(', ')}`
    : `${key} is not an option; did you mean ${meant}?`;
}

/** Digits in a string count as a number, because variables such as `${env:BATCH_SIZE}` are strings. */
export function wholeNumber(from: number, to: number, more = '') {
  const error = `a whole number from ${from.toLocaleString('en')} to ${to.toLocaleString('en')}${more}`;
  return z.preprocess(
    (value) => (typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value),
    z.int({ error }).min(from, { error }).max(to, { error }),
  );
}

export function trueOrFalse() {
  return z.preprocess(
    (value) => (value === 'true' ? true : value === 'false' ? false : value),
    z.boolean({ error: 'true or false' }),
  );
}

export function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, { error: `one of ${values.join(', ')}` });
}

/** A value that only CloudFormation knows: the plugin has put a name in its place. */
export function isDeployedValue(value: unknown): value is string {
  return typeof value === 'string' && variableOf(value) !== undefined;
}

/** What the schema takes, or such a value. */
export function orDeployed(schema: z.ZodType<string>) {
  return z.unknown().transform((value, context): string => {
    if (isDeployedValue(value)) return value;
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    for (const { message } of result.error.issues) context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}

export function text(error: string) {
  return z.string({ error }).min(1, { error });
}

const KMS_KEY_ARN =
  'the ARN of a KMS key: arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';

/** An alias is no resource of a policy, so it is not taken. */
export function kmsKeyArn() {
  return text(KMS_KEY_ARN).regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[a-zA-Z0-9-]+$/, {
    error: KMS_KEY_ARN,
  });
}

/** What brokers take. */
export const LONGEST_GROUP = 120;
export const LONGEST_TOPIC = 127;

/** Topic and group names: Java's Validators. The length leaves room for `%RETRY%` in the 127 characters of a topic. */
export function rocketmqName(kind: string, maxLength: number) {
  const error = `a ${kind} of 1 to ${maxLength} characters out of a-z, A-Z, 0-9, _, -, % and |`;
  return z
    .string({ error })
    .regex(/^[%|a-zA-Z0-9_-]+$/, { error })
    .max(maxLength, { error });
}
