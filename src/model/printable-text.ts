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

function escapeOf(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
