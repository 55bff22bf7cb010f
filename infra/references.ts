import { placeholder, VALUE_PREFIX, variableOf } from '../src/model/deployed-value.ts';
import { TABLE } from './resources/names.ts';

/** By environment variable: what CloudFormation fills in. */
export type References = Readonly<Record<string, object>>;

/** Takes CloudFormation's references out of what the user wrote; their places are held by texts that the configuration can carry. */
export class ReferenceCollector {
  readonly #found: object[] = [];

  take(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((part) => this.take(part));
    if (typeof value !== 'object' || value === null || value instanceof Date) return value;
    if (isReference(value)) {
      this.#found.push(value);
      return placeholder(this.#found.length - 1);
    }
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, this.take(part)]));
  }

  get references(): References {
    return Object.fromEntries(
      this.#found.map((reference, index) => [`${VALUE_PREFIX}${index}`, reference]),
    );
  }
}

function isReference(value: object): boolean {
  const [[key, to] = [], ...more] = Object.entries(value);
  return (
    more.length === 0 &&
    key !== undefined &&
    ((key === 'Ref' && typeof to === 'string') || key.startsWith('Fn::'))
  );
}

/** Puts them back where a template needs them, and names the table that exists already instead of the added one. */
export function withReferences<Part>(
  part: Part,
  references: References,
  tableName: string | undefined,
): Part {
  const put = (value: unknown): unknown => {
    if (typeof value === 'string') return ofText(value, references);
    if (Array.isArray(value)) return value.map(put);
    if (typeof value !== 'object' || value === null) return value;
    if (tableName !== undefined && isOf(value, 'Ref')) return put(tableName);
    if (tableName !== undefined && isOf(value, 'Fn::GetAtt'))
      return {
        'Fn::Sub': [
          // biome-ignore lint/suspicious/noTemplateCurlyInString: CloudFormation fills it in
          'arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Table}',
          { Table: put(tableName) },
        ],
      };
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, put(each)]));
  };
  return put(part) as Part;
}

/** `{ Ref: RocketmqTable }`, `{ Fn::GetAtt: [RocketmqTable, Arn] }` */
function isOf(value: object, kind: 'Ref' | 'Fn::GetAtt'): boolean {
  const named = (value as Record<string, unknown>)[kind];
  return (Array.isArray(named) ? named[0] : named) === TABLE;
}

/** A whole text, or one with something behind it: `<bucket>/*`. */
function ofText(text: string, references: References): unknown {
  const [whole = '', rest = ''] = /^(env:ROCKETMQ_VALUE_\d+)(.*)$/.exec(text)?.slice(1) ?? [];
  const variable = variableOf(whole);
  const reference = variable === undefined ? undefined : references[variable];
  if (reference === undefined) return text;
  return rest === '' ? reference : { 'Fn::Join': ['', [reference, rest]] };
}
