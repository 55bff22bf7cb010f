/**
 * A value that only CloudFormation knows (`{ Ref }`, `{ Fn::ImportValue }` …) reaches the functions as an environment variable; in the bundled
 * configuration its place is held by `env:<name>`.
 */
export const VALUE_PREFIX = 'ROCKETMQ_VALUE_';
const PLACEHOLDER = new RegExp(`^env:(${VALUE_PREFIX}\\d+)$`);

export function placeholder(index: number): string {
  return `env:${VALUE_PREFIX}${index}`;
}

/** Name of the variable; undefined: the text is what it says. */
export function variableOf(text: string): string | undefined {
  return PLACEHOLDER.exec(text)?.[1];
}
