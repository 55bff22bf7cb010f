// The plugin's door. An older Node cannot read what is behind it, and its own message would not say so.
const { existsSync } = require('node:fs');
const path = require('node:path');

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18))
  throw Object.assign(
    new Error(
      `serverless-rocketmq needs Node 22.18 or newer, and this is Node ${process.versions.node} (${process.execPath}). ` +
        'Install a newer Node, or run the one of the project: npx serverless …, or an npm script.',
    ),
    // The name that Serverless shows without a stack.
    { name: 'ServerlessError', code: 'ROCKETMQ_NODE_VERSION' },
  );
// TypeScript in the repo, compiled in the package.
const source = path.join(__dirname, 'plugin.ts');
module.exports = require(existsSync(source) ? source : '../dist/infra/plugin.js').default;
