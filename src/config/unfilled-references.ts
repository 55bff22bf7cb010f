import type { ConfigPath, Problems } from './problems.ts';

/** CloudFormation fills it in, but only where it stands in a template. */
const DYNAMIC_REFERENCE = /\{\{resolve:[^{}]*\}\}/;
/** Of Serverless, which has filled in its own before, or of CloudFormation's Fn::Sub. */
const VARIABLE = /\$\{[^{}]*\}/;
/** Texts that are compared with messages may have any characters. Plain secrets are refused with an advice of their own. */
const OTHERS: ReadonlySet<string> = new Set([
  ...['filter', 'filterPatterns', 'order'],
  ...['secretKey', 'securityToken', 'clientKey'],
]);
const SECRETS: ReadonlySet<string | number> = new Set(['credentials', 'tls']);

/** Values that look as if somebody filled them in later, where nobody does: the functions would get them as they are. */
export function refuseUnfilled(value: unknown, path: ConfigPath, problems: Problems): void {
  if (typeof value === 'string') {
    if (DYNAMIC_REFERENCE.test(value)) problems.add(path, ofDynamic(path), 'INVALID_VALUE');
    else if (VARIABLE.test(value)) problems.add(path, OF_VARIABLE, 'INVALID_VALUE');
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const entries: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  if (isReference(entries)) return;
  for (const [key, part] of entries)
    if (typeof key === 'number' || !OTHERS.has(key)) refuseUnfilled(part, [...path, key], problems);
}

function ofDynamic(path: ConfigPath): string {
  const what =
    ' is a dynamic reference ({{resolve:…}}), which CloudFormation fills in within templates only, and this value stands in the zips of the functions: give ';
  return path.some((key) => SECRETS.has(key))
    ? `${what}the place of the secret instead, which the functions read themselves: an ARN (arn:aws:secretsmanager:…) or { ssmParameter: /name }`
    : `${what}{ Ref: Parameter } with a template parameter of type AWS::SSM::Parameter::Value<String>, or let Serverless read the value when it packages: \${ssm:/name}`;
}

const OF_VARIABLE = ` has a variable (\${…}) that nothing has filled in: Serverless fills in its own when it packages (\${ssm:/name}, \${env:NAME}, \${param:name}); names of CloudFormation such as \${AWS::Region} work in { Fn::Sub: … } only`;

function isReference(entries: readonly (readonly [string | number, unknown])[]): boolean {
  const [first, ...more] = entries;
  if (first === undefined || more.length > 0) return false;
  const [key, to] = first;
  return key === 'Ref' ? typeof to === 'string' : String(key).startsWith('Fn::');
}
