import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from '../../../infra/bundle.ts';
import {
  coordinatorEntry,
  pullerEntry,
  type UserHandler,
  userEntry,
} from '../../../infra/entries.ts';
import type { ServiceConfig } from '../../../src/model/source.ts';
import { ENVIRONMENT } from '../../../src/runtime/environment.ts';
import { type LocalFunction, LocalLambda } from '../../support/lambda/local-lambda.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));

export interface DeployedService {
  readonly lambda: LocalLambda;
  stop(): Promise<void>;
}

/** Bundles coordinator, puller with inline handlers, and the test's handler as the plugin does, and runs them as Lambda functions named coordinator, puller and handler. */
export async function deployService(
  config: ServiceConfig,
  environment: Readonly<Record<string, string>>,
  timeouts: { readonly puller: number; readonly handler: number },
  onLog: (functionName: string, line: string) => void,
  inline: readonly UserHandler[] = [],
): Promise<DeployedService> {
  const folder = await mkdtemp(path.join(tmpdir(), 'deployed-'));
  const entries = {
    coordinator: coordinatorEntry(config),
    puller: pullerEntry(config, inline),
    handler: userEntry({
      functionKey: 'handler',
      file: path.join(HERE, 'handler.ts'),
      exportName: 'handler',
    }),
  };
  for (const [functionKey, entry] of Object.entries(entries))
    await bundle({ functionKey, entry, resolveDir: HERE, outDir: path.join(folder, functionKey) });
  const describe = (functionKey: string, timeout: number): LocalFunction => ({
    handler: path.join(folder, functionKey, 'index.mjs.handler'),
    timeout,
    // As the plugin deploys the puller.
    maximumRetryAttempts: 0,
    environment: { ...environment, [ENVIRONMENT.pullerFunction]: 'puller' },
  });
  const lambda = new LocalLambda(
    {
      coordinator: describe('coordinator', 60),
      puller: describe('puller', timeouts.puller),
      handler: describe('handler', timeouts.handler),
    },
    { onLog },
  );
  await lambda.start();
  return {
    lambda,
    async stop() {
      await lambda.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
