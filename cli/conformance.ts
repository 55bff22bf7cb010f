/** `npm run conformance -- DIR`: checks this implementation against vector files that RocketMQ's own Java classes computed. */
import { readArguments } from './arguments.ts';
import { runConformance } from './conformance/run.ts';
import { print } from './print.ts';

const {
  words: [folder = ''],
} = readArguments({
  help: `usage: npm run conformance -- DIR

DIR holds allocation.json, frames.json, messages.json, acl.json and subscriptions.json, as test/vectors does: computed by RocketMQ's own
Java classes (test/vectors/Vectors.java makes others).`,
  options: {},
  words: [1, 1],
});
process.exitCode = await runConformance(folder, print);
