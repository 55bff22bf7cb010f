import type { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { type ProblemKind, problemCode } from './problem-codes.ts';

/** Where in serverless.yml a value stands: `functions`, `orders`, `events`, 0, `rocketmq`. */
export type ConfigPath = readonly (string | number)[];

/** Everything that is wrong with the configuration, so that one run tells all of it. */
export class Problems {
  readonly #lines: string[] = [];
  readonly #codes: string[] = [];

  add(path: ConfigPath, sentence: string, kind: ProblemKind = 'OPTION_CONFLICT'): void {
    const code = problemCode(path[0], kind);
    this.#codes.push(code);
    this.#lines.push(`${path.join('.')}${sentence} [${code}]`);
  }

  /** Parses `input` with the schema. Undefined when it is wrong: then the problems are noted. */
  parse<S extends z.ZodType>(schema: S, input: unknown, path: ConfigPath): z.output<S> | undefined {
    const result = schema.safeParse(input);
    if (result.success) return result.data;
    for (const issue of result.error.issues) this.#addIssue(issue, input, path);
    return undefined;
  }

  get any(): boolean {
    return this.#lines.length > 0;
  }

  throwIfAny(): void {
    if (this.#lines.length === 1) throw new ConfigError(this.#lines[0]!, {}, this.#codes[0]);
    if (this.#lines.length > 1)
      throw new ConfigError(
        `the rocketmq configuration has ${this.#lines.length} problems:\n${this.#lines.map((line) => `  - ${line}`).join('\n')}`,
      );
  }

  #addIssue(issue: z.core.$ZodIssue, input: unknown, root: ConfigPath): void {
    const path = [
      ...root,
      ...issue.path.map((key) => (typeof key === 'number' ? key : String(key))),
    ];
    if (issue.code === 'unrecognized_keys') {
      for (const line of issue.message.split('\n')) this.add(path, `.${line}`, 'UNKNOWN_OPTION');
      return;
    }
    const value = issue.path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key],
      input,
    );
    if (value === undefined || value === null)
      this.add(path, ` is missing: give ${issue.message}`, 'MISSING_OPTION');
    else if (path.includes('credentials') || path.includes('tls'))
      this.add(path, ` is not valid: give ${issue.message}`, 'INVALID_VALUE');
    else this.add(path, ` is ${JSON.stringify(value)}: give ${issue.message}`, 'INVALID_VALUE');
  }
}
