import { existsSync } from 'node:fs';
import path from 'node:path';
import { ConfigError } from '../src/errors.ts';
import type { ServiceConfig } from '../src/model/source.ts';
import { ENVIRONMENT } from '../src/runtime/environment.ts';

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.cjs', '.cts', '.tsx', '.jsx'];
/** The Lambda doors lie beside this plugin: as TypeScript in the repo, compiled in the package. */
const handlersFile = (name: string): string =>
  path.join(import.meta.dirname, '..', 'handlers', `${name}${path.extname(import.meta.filename)}`);
const sourceFile = (room: string, name: string): string =>
  path.join(import.meta.dirname, '..', 'src', room, `${name}${path.extname(import.meta.filename)}`);
/** The AWS SDK of a service comes with its client, so only those that events name go into the bundle. */
const DESTINATIONS = [
  { type: 'sqs', create: 'createSqsDestination' },
  { type: 'sns', create: 'createSnsDestination' },
  { type: 's3', create: 'createS3Destination' },
] as const;
const quote = (value: unknown): string => JSON.stringify(value);

export interface UserHandler {
  readonly functionKey: string;
  /** Absolute. */
  readonly file: string;
  readonly exportName: string;
}

/**
 * Finds the source of `handler: src/orders.handler`.
 * @throws ConfigError when there is none
 */
export function findHandler(
  functionKey: string,
  handler: string | undefined,
  serviceDir: string,
): UserHandler {
  const match = /^(.+)\.([^./\\]+)$/.exec(handler ?? '');
  if (match === null)
    throw new ConfigError(
      `functions.${functionKey}.handler is ${quote(handler)}: give file.export, for example src/orders.handler`,
    );
  const base = path.resolve(serviceDir, match[1]!);
  const file = EXTENSIONS.map((extension) => base + extension).find((candidate) =>
    existsSync(candidate),
  );
  if (file === undefined)
    throw new ConfigError(
      `functions.${functionKey}.handler is "${handler}", but there is no file ${match[1]}${EXTENSIONS.slice(0, 4).join(`, ${match[1]}`)}: create it or correct the name`,
    );
  return { functionKey, file, exportName: match[2]! };
}

/** A user's function on its own. An export that is missing becomes an error of the bundler, for CommonJS sources too. */
export function userEntry({ file, exportName }: UserHandler): string {
  return `export { ${exportName} } from ${quote(file)};`;
}

export function coordinatorEntry(config: ServiceConfig): string {
  return `import { createCoordinatorHandler } from ${quote(handlersFile('coordinator'))};
export const handler = createCoordinatorHandler(${quote(config)});`;
}

export function operatorEntry(config: ServiceConfig, readOnly = false): string {
  return `import { createOperatorHandler } from ${quote(handlersFile('operator'))};
export const handler = createOperatorHandler(${quote(config)}${readOnly ? ', { readOnly: true }' : ''});`;
}

/** The puller with the handlers that run inside it, by function key. */
export function pullerEntry(config: ServiceConfig, inline: readonly UserHandler[]): string {
  const imports = inline.map(
    ({ file, exportName }, index) =>
      `import { ${exportName} as inline${index} } from ${quote(file)};`,
  );
  const kinds = [
    ...new Set(
      config.sources.flatMap(({ subscriptions }) =>
        subscriptions.flatMap(({ onFailure }) => onFailure?.type ?? []),
      ),
    ),
  ];
  const used = DESTINATIONS.filter(({ type }) => kinds.includes(type));
  const clients = used.map(
    ({ type, create }) => `import { ${create} } from ${quote(sourceFile('destinations', type))};`,
  );
  const destinations = used.map(({ type, create }) => `${type}: ${create}()`);
  const offloads = config.sources.some(({ subscriptions }) =>
    subscriptions.some((event) => event.s3PointerThreshold !== undefined),
  );
  if (offloads)
    clients.push(
      `import { createS3Bodies } from ${quote(sourceFile('destinations', 's3-bodies'))};`,
    );
  const handlers = inline.map(({ functionKey }, index) => `${quote(functionKey)}: inline${index}`);
  return `import { createPullerHandler } from ${quote(handlersFile('puller'))};
${[...clients, ...imports].join('\n')}
export const handler = createPullerHandler(${quote(config)}, { ${handlers.join(', ')} }, { ${destinations.join(', ')} }${offloads ? ', createS3Bodies()' : ''});`;
}

/**
 * For serverless-offline, which ends as a whole when an asynchronous invocation fails. The handlers have logged their error themselves. Its port is open
 * to all programs of the machine, so a request needs the token of the run, where there is one: `invoke local` has none.
 */
export function survivingEntry(entry: string): string {
  return `${entry.replace('export const handler =', 'const inner =')}
export const handler = async (event, context) => {
  const token = process.env.${ENVIRONMENT.runToken};
  if (token && event?.runToken !== token) return { refused: 'this function takes requests of its local run only' };
  return await inner(event, context).catch(() => undefined);
};`;
}
