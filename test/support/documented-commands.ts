/** Shell commands of a page: those of its blocks, a line each and without their remarks, and those in the text that begin with a program's name. */
export function documentedCommands(page: string): string[] {
  const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].filter(([, language = '']) =>
    ['', 'sh', 'bash', 'console'].includes(language),
  );
  const lines = blocks.flatMap(([, , body = '']) => body.split('\n'));
  const inText = [...page.replaceAll(/^```.*?^```$/gms, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, text = '']) => text,
  );
  const commands = [
    ...lines.flatMap((line) => line.split(/\s{2,}|\s#\s/)[0]?.split(' && ') ?? []),
    ...inText,
  ].map((text) => text.trim());
  return [...new Set(commands.filter((command) => PROGRAM.test(command)))];
}

/** A program and what it is told. A program's name alone (`mqadmin`) is no command, nor is `npm run …`, which stands for all of them. */
const PROGRAM = /^(npm|npx|node|serverless|mqadmin|aws|java|mvn|git|docker|curl) +(?!run …)[^\s…]+/;

/** What the table "In a hurry" of docs/operating.md advises: the words of each command, as a shell would split them. */
export function advised(page: string): string[][] {
  const [, table = ''] = /^## In a hurry\n(.*?)^## /ms.exec(page) ?? [];
  return table
    .split('\n')
    .flatMap((line) => [...line.slice(line.indexOf('|', 1)).matchAll(/`([^`]+)`/g)])
    .map(([, command = '']) =>
      [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? ''),
    );
}
