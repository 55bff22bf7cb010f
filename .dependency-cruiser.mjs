/** The table "Rooms" of ARCHITECTURE.md as rules: what a room may import beside itself. Type imports count. */
const ROOMS = {
  model: [],
  ports: ['model'],
  remoting: ['errors'],
  records: ['remoting', 'model', 'errors'],
  requests: ['remoting', 'records', 'model', 'errors'],
  decide: ['model'],
  client: ['requests', 'remoting', 'records', 'ports', 'model', 'errors'],
  store: ['ports', 'model', 'errors'],
  delivery: ['ports', 'decide', 'records', 'model', 'errors'],
  coordinator: ['decide', 'ports', 'records', 'model', 'errors'],
  puller: ['delivery', 'decide', 'ports', 'records', 'remoting', 'model', 'errors'],
  config: ['model', 'records', 'errors'],
  runtime: ['ports', 'model', 'errors'],
  testing: ['requests', 'remoting', 'records', 'model', 'errors'],
};

const pathOf = (room) => (room === 'errors' ? '^src/errors\\.ts$' : `^src/${room}/`);

/** Packages that a room may use; every other room uses none. */
const PACKAGES = {
  store: ['@aws-sdk/client-dynamodb'],
  delivery: ['@aws-sdk/client-lambda', 'aws-lambda'],
  runtime: ['@aws-sdk/client-dynamodb', '@aws-sdk/client-lambda', '@smithy/node-http-handler', 'pino'],
  config: ['zod'],
  model: ['aws-lambda'],
};

export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not-resolvable', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '^aws-lambda$' } },
    ...Object.entries(ROOMS).map(([room, allowed]) => ({
      name: `${room}-imports`,
      comment: `${room} may import ${allowed.join(', ') || 'nothing'}`,
      severity: 'error',
      from: { path: pathOf(room) },
      to: { path: '^(src|handlers|infra|cli|sample|bench|test)/', pathNot: [room, ...allowed].map(pathOf) },
    })),
    ...Object.keys(ROOMS).map((room) => ({
      name: `${room}-packages`,
      severity: 'error',
      from: { path: pathOf(room) },
      to: {
        dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'],
        pathNot: (PACKAGES[room] ?? []).map((name) => `node_modules/(@types/)?${name}(/|$)`).concat('^$'),
      },
    })),
    { name: 'errors-imports-nothing', severity: 'error', from: { path: pathOf('errors') }, to: { path: '^(src|handlers|infra|cli)/' } },
    {
      name: 'sample-imports-the-public-door',
      severity: 'error',
      from: { path: '^sample/' },
      to: { path: '^(src|handlers|infra|cli|test)/', pathNot: '^src/index\\.ts$' },
    },
    {
      name: 'product-never-imports-tools',
      severity: 'error',
      from: { path: '^(src|handlers|infra)/' },
      to: { path: '^(cli|test|bench|sample)/' },
    },
    {
      name: 'product-uses-dependencies-only',
      severity: 'error',
      from: { path: '^(src|handlers)/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.d.ts'],
    },
  },
};
