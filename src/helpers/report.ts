/** Tells a function of the user's. What it throws or rejects with changes no verdict, and is shown. */
export function report<Arguments extends readonly unknown[]>(
  told: (...given: Arguments) => unknown,
  ...given: Arguments
): void {
  try {
    Promise.resolve(told(...given)).catch(show);
  } catch (error) {
    show(error);
  }
}

function show(error: unknown): void {
  // biome-ignore lint/suspicious/noConsole: in a user's function, whose logger we do not know
  console.error('onFailure or onInvalid failed', error);
}
