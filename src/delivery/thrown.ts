/**
 * Texts of handlers are cut here: they go into logs and error messages, and may hold bodies.
 * `logging.errorLength` sets another length.
 */
export const ERROR_LENGTH = 500;

/** Name and message of what was thrown, whatever it is. Never throws, also when the value does. */
export function describeThrown(
  thrown: unknown,
  maxLength = ERROR_LENGTH,
): {
  readonly errorType: string;
  readonly errorMessage: string;
} {
  try {
    if (!(thrown instanceof Error))
      return { errorType: 'Error', errorMessage: text(thrown, maxLength) };
    return {
      errorType: text(thrown.name, ERROR_LENGTH),
      errorMessage: text(thrown.message, maxLength),
    };
  } catch {
    return { errorType: 'Error', errorMessage: 'a value that cannot be read was thrown' };
  }
}

function text(value: unknown, maxLength: number): string {
  return String(value).slice(0, maxLength);
}
