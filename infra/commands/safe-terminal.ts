import { printableText } from '../../src/model/printable-text.ts';
import type { Terminal } from './command.ts';

/** The terminal as commands have it: what they write is escaped, and only `control` reaches it as it is. */
export function safeTerminal(terminal: Terminal): Terminal {
  const { ask } = terminal;
  const safe = <Stream extends Terminal['err']>(stream: Stream) => ({
    write: (text: string): unknown => stream.write(printableText(text)),
    isTTY: stream.isTTY === true,
    ...(stream.columns === undefined ? {} : { columns: stream.columns }),
  });
  return {
    ...terminal,
    out: safe(terminal.out),
    err: safe(terminal.err),
    control: (stream, code) => void terminal[stream].write(code),
    ask: ask === undefined ? undefined : (question) => ask(printableText(question)),
  };
}
