/** Control characters, and those that change the direction of text or end lines. Terminals obey them. */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * A text as a terminal may show it: texts of messages, brokers and handlers cannot move its cursor, hide text or write to the clipboard. Tabs and
 * newlines stay. Escapes are those of JSON, so that a JSON document stays one, with the same values.
 */
export function printableText(text: string): string {
  return text.replace(UNPRINTABLE, (character) =>
    character === '\n' || character === '\t' ? character : escapeOf(character),
  );
}

/** The same for a text that has to stay in its line. */
export function printableLine(text: string): string {
  return text.replace(UNPRINTABLE, escapeOf);
}

/** Causes of causes. */
const MAX_DEPTH = 5;

/** A copy of what was thrown for a console: its texts cannot obey their control characters. Other fields than name, code and cause stay behind. */
export function printableError(thrown: unknown, depth = MAX_DEPTH): unknown {
  if (typeof thrown === 'string') return printableText(thrown);
  if (!(thrown instanceof Error))
    return typeof thrown === 'object' ? printableObject(thrown) : thrown;
  const { name, message, stack, cause, code } = thrown as Error & { readonly code?: unknown };
  const copy = new Error(
    printableText(String(message)),
    cause === undefined || depth === 0 ? {} : { cause: printableError(cause, depth - 1) },
  );
  const isCode = typeof code === 'string' || typeof code === 'number';
  // As of Error itself, so that consoles print them once.
  const hidden = { enumerable: false, configurable: true, writable: true };
  Object.defineProperties(copy, {
    name: { ...hidden, value: printableLine(String(name)) },
    ...(typeof stack === 'string' && { stack: { ...hidden, value: printableText(stack) } }),
    ...(isCode && { code: { ...hidden, enumerable: true, value: printableError(code) } }),
  });
  return copy;
}

function printableObject(thrown: unknown): string {
  try {
    return printableText(JSON.stringify(thrown));
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}

function escapeOf(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
