/** Longer texts are cut: they go into logs and error messages. */
const MAX_LENGTH = 10_000;

/** Name and message of what was thrown, whatever it is. Never throws, also when the value does. */
export function describeThrown(thrown: unknown): {
  readonly errorType: string;
  readonly errorMessage: string;
} {
  try {
    if (!(thrown instanceof Error)) return { errorType: 'Error', errorMessage: text(thrown) };
    return { errorType: text(thrown.name), errorMessage: text(thrown.message) };
  } catch {
    return { errorType: 'Error', errorMessage: 'a value that cannot be read was thrown' };
  }
}

function text(value: unknown): string {
  return String(value).slice(0, MAX_LENGTH);
}
