// The plugin's door. The plugin is TypeScript, which an older Node cannot read; its own message would be a SyntaxError that does not say so.
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
module.exports = require('./plugin.ts').default;
