/** `npm run conformance -- DIR`: checks this implementation against vector files that RocketMQ's own Java classes computed. */
import { runConformance } from './conformance/run.ts';

const [folder, ...rest] = process.argv.slice(2);
if (folder === undefined || rest.length > 0) {
  process.stderr.write(
    'usage: npm run conformance -- DIR\nDIR holds allocation.json, frames.json, messages.json, acl.json and subscriptions.json\n',
  );
  process.exit(2);
}
process.exitCode = await runConformance(folder, (line) => process.stdout.write(`${line}\n`));
