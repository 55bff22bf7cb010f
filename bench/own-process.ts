import { fileURLToPath } from 'node:url';
import { startChild } from '../test/support/child-process.ts';
import { jsonLines } from '../test/support/java.ts';

/** Runs a script of this folder in a Node of its own and reads the JSON line that it prints. */
export async function runOwn<T>(
  script: string,
  args: readonly string[],
  nodeOptions: readonly string[] = [],
): Promise<T> {
  const child = startChild(process.execPath, [
    ...nodeOptions,
    fileURLToPath(new URL(script, import.meta.url)),
    ...args,
  ]);
  const chunks: Buffer[] = [];
  child.process.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await child.exited;
  const [answer] = jsonLines<T>(Buffer.concat(chunks).toString('utf8'));
  if (answer === undefined) throw new Error(`${script} ended with ${code}: ${child.output()}`);
  return answer;
}
