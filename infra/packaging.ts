import path from 'node:path';
import { findPlainSecrets, refusePlainSecrets } from '../src/config/plain-secrets.ts';
import { bundle, zipDirectory } from './bundle.ts';
import {
  coordinatorEntry,
  findHandler,
  operatorEntry,
  pullerEntry,
  survivingEntry,
  userEntry,
} from './entries.ts';
import { ADDED, COORDINATOR, OPERATOR_READ_ONLY, PULLER } from './resources/names.ts';
import { OPERATORS } from './resources/operator.ts';
import type { FunctionDefinition, Serverless } from './serverless-api.ts';
import { isNode, type RocketMQService } from './service.ts';

/** Plugins that bundle the user's functions themselves. */
const OTHER_BUNDLERS = [
  'serverless-esbuild',
  'serverless-webpack',
  'serverless-bundle',
  'serverless-plugin-typescript',
];

interface Unit {
  readonly functionKey: string;
  readonly entry: string;
  readonly exportName: string;
}

/** Bundles every function of the event sources into a zip of its own, for deployment. */
export async function packageFunctions(
  serverless: Serverless,
  service: RocketMQService,
): Promise<void> {
  if (!service.options.allowPlainSecrets) refusePlainSecrets(plainSecrets(serverless, service));
  await Promise.all(
    units(serverless, service).map(async ({ functionKey, entry, exportName }) => {
      const outDir = path.join(serverless.serviceDir, '.serverless', 'rocketmq', functionKey);
      await bundle({ functionKey, entry, resolveDir: serverless.serviceDir, outDir });
      // Under .serverless, so that `package --package DIR` takes it along.
      const artifact = path.join('.serverless', `${functionKey}.zip`);
      await zipDirectory(outDir, path.join(serverless.serviceDir, artifact));
      const definition = serverless.service.functions[functionKey]!;
      definition.handler = `index.${exportName}`;
      // Without `individually` a deployment looks for the zip of the service, which nobody has made.
      definition.package = { ...definition.package, individually: true, artifact };
    }),
  );
}

/** What leaves this machine: bundles have the clusters, the template has the environments. */
function plainSecrets({ service }: Serverless, { options }: RocketMQService): string[] {
  const { provider, functions } = service;
  return findPlainSecrets(options.clusters, [
    { path: 'provider.environment', variables: provider.environment },
    ...Object.entries(functions).map(([key, { environment }]) => ({
      path: `functions.${key}.environment`,
      variables: environment,
    })),
  ]);
}

/** Bundles them into `directory` and lets the definitions point there, for serverless-offline and `invoke local`. */
export async function bundleLocally(
  serverless: Serverless,
  service: RocketMQService,
  directory: string,
): Promise<void> {
  await Promise.all(
    units(serverless, service).map(async ({ functionKey, entry, exportName }) => {
      const outDir = path.join(directory, functionKey);
      const generated = (ADDED as readonly string[]).includes(functionKey);
      await bundle({
        functionKey,
        entry: generated ? survivingEntry(entry) : entry,
        resolveDir: serverless.serviceDir,
        outDir,
      });
      serverless.service.functions[functionKey]!.handler = path.join(
        path.relative(serverless.serviceDir, outDir),
        `index.${exportName}`,
      );
    }),
  );
}

function units(serverless: Serverless, { config, needs }: RocketMQService): Unit[] {
  const { functions, provider, plugins } = serverless.service;
  const source = (key: string) => findHandler(key, functions[key]?.handler, serverless.serviceDir);
  const bundled = (definition: FunctionDefinition | undefined): boolean =>
    definition !== undefined &&
    definition.package?.artifact === undefined &&
    definition.image === undefined &&
    isNode(definition, provider);
  const left = pluginNames(plugins).some((name) => OTHER_BUNDLERS.includes(name));
  const users = left
    ? []
    : [...new Set([...needs.invoked, ...needs.inline])].filter((key) => bundled(functions[key]));
  return [
    { functionKey: COORDINATOR, entry: coordinatorEntry(config), exportName: 'handler' },
    ...OPERATORS.filter((key) => functions[key] !== undefined).map((functionKey) => ({
      functionKey,
      entry: operatorEntry(config, functionKey === OPERATOR_READ_ONLY),
      exportName: 'handler',
    })),
    {
      functionKey: PULLER,
      entry: pullerEntry(config, needs.inline.map(source)),
      exportName: 'handler',
    },
    ...users.map((functionKey) => {
      const handler = source(functionKey);
      return { functionKey, entry: userEntry(handler), exportName: handler.exportName };
    }),
  ];
}

function pluginNames(plugins: Serverless['service']['plugins']): readonly string[] {
  return plugins === undefined
    ? []
    : 'modules' in plugins
      ? (plugins.modules ?? [])
      : (plugins as readonly string[]);
}
