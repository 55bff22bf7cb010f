/** Calls a function of the user's. What it throws or rejects with changes no verdict, and is logged. */
export function report<Arguments extends readonly unknown[]>(
  callback: (...values: Arguments) => unknown,
  ...values: Arguments
): void {
  try {
    Promise.resolve(callback(...values)).catch(log);
  } catch (error) {
    log(error);
  }
}

function log(error: unknown): void {
  // biome-ignore lint/suspicious/noConsole: in a user's function, whose logger we do not know
  console.error('onFailure or onInvalid failed', error);
}
