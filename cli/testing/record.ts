/** A reporter of node:test for the runner: a line of JSON for each test that counts. */
import type { TestEvent } from 'node:test/reporters';

/** One test's end, or a suite's when it was skipped or broke by itself. */
export interface TestRecord {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped. */
  readonly reason?: string;
}

export default async function* record(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    const ended = recordOf(event);
    if (ended !== undefined) yield `${JSON.stringify(ended)}\n`;
  }
}

function recordOf(event: TestEvent): TestRecord | undefined {
  if (event.type === 'test:pass') {
    const { name, skip, todo, details } = event.data;
    const reason = skip ?? todo;
    if (reason !== undefined && reason !== false)
      return { name, outcome: 'skipped', reason: typeof reason === 'string' ? reason : name };
    return details.type === 'suite' ? undefined : { name, outcome: 'passed' };
  }
  if (event.type === 'test:fail') {
    const { name, details } = event.data;
    // What contains a failed test fails with it; it counts only when it broke by itself (a hook, an import).
    const failureType = 'failureType' in details.error ? details.error.failureType : undefined;
    return failureType === 'subtestsFailed' ? undefined : { name, outcome: 'failed' };
  }
  return undefined;
}
