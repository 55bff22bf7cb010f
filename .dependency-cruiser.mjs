/** The table "Rooms" of ARCHITECTURE.md as rules: what a room may import beside itself. Type imports count. A test holds the two together. */
export const ROOMS = {
  'src/model/': [],
  'src/errors.ts': [],
  'src/ports/': ['model'],
  'src/remoting/': ['errors'],
  'src/records/': ['remoting', 'model', 'errors'],
  'src/requests/': ['remoting', 'records', 'model', 'errors'],
  'src/decide/': ['model'],
  'src/flow/': ['decide', 'ports', 'model'],
  'src/queue/': ['decide', 'ports', 'remoting', 'model', 'errors'],
  'src/client/': ['requests', 'remoting', 'records', 'ports', 'model', 'errors'],
  'src/store/': ['ports', 'model', 'errors'],
  'src/delivery/': ['ports', 'decide', 'records', 'model', 'errors'],
  'src/destinations/': ['ports', 'model', 'errors'],
  'src/coordinator/': ['flow', 'decide', 'ports', 'records', 'model', 'errors'],
  'src/puller/': [
    'queue',
    'delivery',
    'dlq',
    'flow',
    'decide',
    'ports',
    'records',
    'remoting',
    'model',
    'errors',
  ],
  'src/membership/': ['coordinator', 'puller', 'decide', 'ports', 'records', 'model', 'errors'],
  'src/consumer/': [
    'client',
    'dlq',
    'queue',
    'puller',
    'decide',
    'ports',
    'records',
    'model',
    'errors',
  ],
  'src/dlq/': ['ports', 'records', 'model', 'errors'],
  'src/helpers/': ['model', 'errors'],
  'src/console/': ['flow', 'decide', 'dlq', 'ports', 'records', 'model', 'errors'],
  'src/operator/': [
    'flow',
    'puller',
    'dlq',
    'config',
    'decide',
    'delivery',
    'ports',
    'records',
    'model',
    'errors',
  ],
  'src/config/': ['model', 'decide', 'errors'],
  'src/runtime/': ['ports', 'model', 'errors'],
  'src/testing/': ['delivery', 'requests', 'remoting', 'records', 'model', 'errors'],
  'infra/': [
    'client',
    'config',
    'console',
    'delivery',
    'operator',
    'runtime',
    'store',
    'testing',
    'ports',
    'model',
    'errors',
  ],
};

/** Packages that a room of src may use; every other one uses none. */
const PACKAGES = {
  'src/store/': ['@aws-sdk/client-dynamodb'],
  'src/delivery/': ['@aws-sdk/client-lambda', 'aws-lambda'],
  'src/destinations/': ['@aws-sdk/client-s3', '@aws-sdk/client-sns', '@aws-sdk/client-sqs'],
  'src/runtime/': [
    '@aws-sdk/client-dynamodb',
    '@aws-sdk/client-lambda',
    '@aws-sdk/client-secrets-manager',
    '@aws-sdk/client-ssm',
    '@middy/core',
    '@middy/secrets-manager',
    '@middy/ssm',
    'pino',
  ],
  'src/config/': ['zod'],
  'src/model/': ['aws-lambda'],
  'src/helpers/': ['aws-lambda', 'zod'],
};

/** Parts of Node that a room of src may use; every other one uses none, so that sockets, files and clocks stay where they belong. */
const NODE_MODULES = {
  'src/decide/': ['crypto'],
  'src/records/': ['buffer', 'net', 'zlib'],
  'src/client/': ['crypto', 'dns/promises', 'fs', 'net', 'timers/promises', 'tls', 'util/types'],
  'src/delivery/': ['crypto'],
  'src/model/': ['crypto'],
  'src/console/': ['crypto', 'fs/promises', 'http', 'net'],
  'src/coordinator/': ['crypto'],
  'src/puller/': ['crypto'],
  'src/runtime/': ['timers/promises', 'v8', 'vm'],
  'src/testing/': ['crypto', 'events', 'net'],
};

const NPM = [
  'npm',
  'npm-dev',
  'npm-optional',
  'npm-peer',
  'npm-bundled',
  'npm-no-pkg',
  'npm-unknown',
];

const escaped = (text) => text.replaceAll('.', '\\.');
const pathOf = (place) => `^${escaped(place)}`;
const placeOf = (room) => (room === 'errors' ? 'src/errors.ts' : `src/${room}/`);
const nameOf = (place) => place.replace(/^src\/|\/$|\.ts$/g, '');
const inSrc = Object.keys(ROOMS).filter((place) => place.startsWith('src/'));

export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'not-resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^aws-lambda$' },
    },
    ...Object.entries(ROOMS).map(([place, allowed]) => ({
      name: `${nameOf(place)}-imports`,
      comment: `${place} may import ${allowed.join(', ') || 'nothing'}`,
      severity: 'error',
      from: { path: pathOf(place) },
      to: {
        path: '^(src|handlers|infra|cli|sample|bench|simulator|test)/',
        pathNot: [place, ...allowed.map(placeOf)].map(pathOf),
      },
    })),
    ...inSrc.map((place) => ({
      name: `${nameOf(place)}-packages`,
      severity: 'error',
      from: { path: pathOf(place) },
      to: {
        dependencyTypes: NPM,
        pathNot: (PACKAGES[place] ?? [])
          .map((name) => `node_modules/(@types/)?${name}(/|$)`)
          .concat('^$'),
      },
    })),
    ...inSrc.map((place) => ({
      name: `${nameOf(place)}-node`,
      severity: 'error',
      from: { path: pathOf(place) },
      to: {
        dependencyTypes: ['core'],
        pathNot: (NODE_MODULES[place] ?? []).map((name) => `^(node:)?${name}$`).concat('^$'),
      },
    })),
    {
      name: 'puller-knows-codes-not-bytes',
      comment: 'of remoting, the data path knows the table of response codes only',
      severity: 'error',
      from: { path: '^src/puller/' },
      to: { path: '^src/remoting/', pathNot: '^src/remoting/response-code\\.ts$' },
    },
    {
      name: 'destinations-never-see-records',
      comment: 'names made of texts of producers come from model/aws-names, by create-destination',
      severity: 'error',
      from: {
        path: '^src/destinations/',
        pathNot: '^src/destinations/create-destination\\.ts$',
      },
      to: { path: '^src/model/(failure|message|event)\\.ts$' },
    },
    {
      name: 'helpers-load-no-zod',
      comment: 'but the door of its own: handlers without its schemas do not carry it',
      severity: 'error',
      from: { path: '^src/helpers/', pathNot: '^src/helpers/schemas\\.ts$' },
      to: { path: '(node_modules/zod/|^src/helpers/schemas\\.ts$)' },
    },
    {
      name: 'sample-imports-the-public-door',
      severity: 'error',
      from: { path: '^sample/' },
      to: { path: '^(src|handlers|infra|cli|bench|simulator|test)/', pathNot: '^src/index\\.ts$' },
    },
    {
      name: 'product-never-imports-tools',
      severity: 'error',
      from: { path: '^(src|handlers|infra)/' },
      to: { path: '^(cli|test|bench|sample|simulator)/' },
    },
    {
      name: 'src-never-imports-doors',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(handlers|infra)/' },
    },
    {
      name: 'handlers-never-import-the-plugin',
      severity: 'error',
      from: { path: '^handlers/' },
      to: { path: '^infra/' },
    },
    {
      name: 'product-uses-dependencies-only',
      severity: 'error',
      from: { path: '^(src|handlers|infra)/' },
      // dynalite is an optional peer: for local runs only, and named when it is missing.
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/(@types|dynalite)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.cjs', '.js', '.d.ts'],
    },
  },
};
