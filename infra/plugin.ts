import { rmSync } from 'node:fs';
import path from 'node:path';
import { eventOptions } from '../src/config/event-options.ts';
import { RocketMQError } from '../src/errors.ts';
import { connectionWeaknesses } from '../src/model/connection-weaknesses.ts';
import { printableError, printableText } from '../src/model/printable-text.ts';
import { ENVIRONMENT } from '../src/runtime/environment.ts';
import type { Values } from './commands/command.ts';
import {
  type CommandService,
  rocketmqCommands,
  rocketmqHooks,
} from './commands/serverless-commands.ts';
import { frameworkAccess } from './framework-access.ts';
import { lostSettings } from './inline-settings.ts';
import type { LocalRun } from './offline.ts';
import { bundleLocally, packageFunctions } from './packaging.ts';
import { withReferences } from './references.ts';
import { alarmResources } from './resources/alarms.ts';
import { coordinatorFunction, coordinatorResources } from './resources/coordinator.ts';
import { dashboardResources } from './resources/dashboard.ts';
import {
  ADDED,
  COORDINATOR,
  functionNaming,
  localTableName,
  OPERATOR,
  OPERATOR_READ_ONLY,
  PULLER,
  TABLE,
} from './resources/names.ts';
import { OPERATORS, operatorFunction, operatorResources } from './resources/operator.ts';
import { pullerFunction, pullerResources } from './resources/puller.ts';
import { scheduleResources } from './resources/schedule.ts';
import type { FunctionDefinition, Log, Naming, Provider, Serverless } from './serverless-api.ts';
import { hasRocketmqEvent, type RocketMQService, readService } from './service.ts';

/** Of our functions, unless somebody says otherwise: logs that are kept for ever are paid for ever. */
const LOG_RETENTION_DAYS = 30;
/** Functions need a runtime that our target (ES2024, middy 7) runs on; an older one of the user's own functions is not ours. */
const MODERN_RUNTIME = /^nodejs(2[2-9]|[3-9]\d)/;

/** The Serverless plugin: what happens when. The work is done by the files beside. */
export default class RocketMQPlugin {
  readonly commands: Readonly<Record<string, object>> = rocketmqCommands();
  readonly hooks: Readonly<Record<string, () => unknown>>;
  readonly #serverless: Serverless;
  readonly #log: Log;
  #service: RocketMQService | undefined;
  #local: LocalRun | undefined;

  constructor(serverless: Serverless, options: Values, { log }: { log: Log }) {
    this.#serverless = serverless;
    this.#log = safeLog(log);
    serverless.configSchemaHandler.defineFunctionEvent('aws', 'rocketmq', eventSchema());
    this.hooks = this.#guarded({
      ...rocketmqHooks(options, (service: RocketMQService) => this.#forCommands(service)),
      initialize: () => this.#read(),
      'before:package:createDeploymentArtifacts': (service) => this.#package(service),
      'before:deploy:function:packageFunction': (service) => this.#package(service),
      'package:compileEvents': (service) => this.#addResources(service),
      'before:invoke:local:invoke': (service) =>
        bundleLocally(serverless, service, localDirectory(serverless)),
      'before:offline:start:init': (service) => this.#prepareLocal(service),
      'after:offline:start:init': () => this.#local?.start(),
      'before:offline:start:end': () => this.#local?.drain(),
      'before:offline:start': async (service) => {
        await this.#prepareLocal(service);
        this.#log.warning(
          'rocketmq: "serverless offline" cannot drain when it ends; use "serverless offline start"',
        );
        // The command starts its own endpoint after this hook, and start() waits for that.
        this.#local
          ?.start()
          .catch((error: unknown) => this.#log.error(`rocketmq: not started: ${String(error)}`));
      },
    });
  }

  /** The only time when functions can be added so that Serverless names, checks and packages them like the user's. */
  asyncInit(): void {
    const { configurationInput } = this.#serverless;
    const functions: Record<string, FunctionDefinition> = Array.isArray(
      configurationInput.functions,
    )
      ? Object.assign({}, ...configurationInput.functions)
      : (configurationInput.functions ?? {});
    if (!Object.values(functions).some(hasRocketmqEvent)) return;
    // A key put on a list of function maps would be lost silently.
    if (Array.isArray(configurationInput.functions))
      this.#serverless.extendConfiguration(['functions'], functions);
    const { operator } = configurationInput.custom?.rocketmq ?? {};
    for (const key of ADDED) {
      // Variables have their value later: what is not wanted then is taken away again.
      if (key === OPERATOR && operator === false) continue;
      if (key === OPERATOR_READ_ONLY && !mentionsReadOnly(operator)) continue;
      if (key in functions)
        throw this.#userError(
          `functions.${key} is the name of a function that serverless-rocketmq adds: choose another name`,
        );
      this.#serverless.extendConfiguration(['functions', key], {
        handler: 'index.handler',
        events: [],
      });
    }
  }

  /** Variables are resolved and names are given now: checks the configuration and completes the added functions. */
  #read(): void {
    const { functions, provider } = this.#serverless.service;
    if (functions[COORDINATOR] === undefined || functions[PULLER] === undefined) return;
    const service = readService(this.#serverless);
    const { naming } = this.#serverless.getProvider('aws');
    const common = {
      architecture: 'arm64',
      ...(MODERN_RUNTIME.test(provider.runtime ?? '') ? {} : { runtime: 'nodejs22.x' }),
      // Everybody invokes $LATEST; retained versions would only pile up.
      versionFunction: false,
      // serverless-esbuild would look for their sources.
      skipEsbuild: true,
      logRetentionInDays:
        service.options.logging.retentionInDays ??
        provider.logRetentionInDays ??
        LOG_RETENTION_DAYS,
      ...(service.options.vpc === undefined ? {} : { vpc: service.options.vpc }),
      ...(Object.keys(service.options.tags).length === 0 ? {} : { tags: service.options.tags }),
      environment: {
        ...service.references,
        ...(service.options.logging.level === undefined
          ? {}
          : { [ENVIRONMENT.logLevel]: service.options.logging.level }),
        ...(service.options.logging.errorLength === undefined
          ? {}
          : { [ENVIRONMENT.errorLength]: String(service.options.logging.errorLength) }),
      },
    };
    const completed = (own: FunctionDefinition): FunctionDefinition =>
      withReferences(withCommon(common, own), service.references, service.options.table.name);
    complete(
      functions[COORDINATOR],
      completed(coordinatorFunction(naming, service.options.coordinator)),
    );
    complete(
      functions[PULLER],
      completed(pullerFunction(service.options.puller, service.inlineEnvironment)),
    );
    const { operator } = service.options;
    if (operator === false) delete functions[OPERATOR];
    if (operator === false || !operator.readOnly) delete functions[OPERATOR_READ_ONLY];
    for (const key of OPERATORS)
      if (functions[key] !== undefined) complete(functions[key], completed(operatorFunction(key)));
    this.#service = service;
  }

  async #package(service: RocketMQService): Promise<void> {
    for (const [name, cluster] of Object.entries(service.config.clusters))
      for (const { text, fix } of connectionWeaknesses(cluster))
        this.#log.warning(`rocketmq: cluster ${name}: ${text}. To close this, ${fix}`);
    const { functions, provider } = this.#serverless.service;
    for (const text of lostSettings(service.needs.inline, functions, provider))
      this.#log.warning(`rocketmq: ${text}`);
    await packageFunctions(this.#serverless, service);
  }

  async #addResources({ config, options, needs, references }: RocketMQService): Promise<void> {
    // With it comes the AWS SDK, which other commands need not load.
    const { tableResource } = await import('./resources/table.ts');
    const provider = withOwnSettings(this.#serverless.service.provider, options);
    const { functions } = this.#serverless.service;
    const naming = functionNaming(this.#serverless.getProvider('aws').naming, functions);
    const added = {
      ...(options.table.name === undefined
        ? { [TABLE]: tableResource(options.table, options.tags) }
        : {}),
      ...alarmResources(config, options.alarms),
      ...dashboardResources(config, options.dashboard),
      ...coordinatorResources(naming, provider, config, options.table),
      ...pullerResources(naming, provider, needs, config, options.table),
      ...Object.assign(
        {},
        ...OPERATORS.filter((key) => functions[key] !== undefined).map((key) =>
          operatorResources(key, naming, provider, needs, config, options.table),
        ),
      ),
      ...scheduleResources(naming, provider, options.tags),
    };
    Object.assign(
      provider.compiledCloudFormationTemplate.Resources,
      withReferences(added, references, options.table.name),
    );
    encryptLogs(provider, naming, options.logging.kmsKeyArn);
    // Whoever owns an existing table knows its name.
    if (options.table.name === undefined)
      provider.compiledCloudFormationTemplate.Outputs.RocketmqTableName = {
        Description: 'Assignments of serverless-rocketmq',
        Value: { Ref: TABLE },
      };
  }

  async #prepareLocal(service: RocketMQService): Promise<void> {
    const { prepareLocalRun } = await import('./offline.ts');
    this.#local = await prepareLocalRun(this.#serverless, service.config, this.#log);
    await bundleLocally(
      this.#serverless,
      { ...service, config: this.#local.config },
      localDirectory(this.#serverless),
    );
  }

  #forCommands({ config }: RocketMQService): CommandService {
    const { service, stage } = config;
    const { functions } = this.#serverless.service;
    const access = frameworkAccess(this.#serverless.getProvider('aws'));
    return {
      config,
      functionNames: {
        full: functions[OPERATOR]?.name,
        readOnly: functions[OPERATOR_READ_ONLY]?.name,
      },
      access,
      localTable: localTableName(service, stage),
    };
  }

  /** Hooks run for services with rocketmq events only, and what is wrong with the configuration is told without a stack. */
  #guarded(
    hooks: Record<string, (service: RocketMQService) => unknown>,
  ): Record<string, () => Promise<void>> {
    return Object.fromEntries(
      Object.entries(hooks).map(([name, hook]) => [
        name,
        async () => {
          if (name !== 'initialize' && this.#service === undefined) {
            if (!name.startsWith('rocketmq:')) return;
            throw this.#userError(
              'no function of this service has a rocketmq event: there is nothing to operate',
            );
          }
          try {
            await hook(this.#service!);
          } catch (error) {
            if (error instanceof RocketMQError) throw this.#userError(error.message, error.code);
            // Serverless prints its stack.
            throw error instanceof Error ? printableError(error) : error;
          }
        },
      ]),
    );
  }

  #userError(message: string, code = 'ROCKETMQ_CONFIG'): Error {
    return new this.#serverless.classes.Error(printableText(message), code);
  }
}

/**
 * Names and meaning of the options for Serverless's schema. It is lax on purpose: Serverless knows a wrong option only as
 * "unrecognized", where our own check, a moment later, names the nearest one, the value and the values that are allowed.
 */
function eventSchema(): object {
  const properties = Object.fromEntries(
    Object.entries(eventOptions.shape).map(([name, schema]) => [
      name,
      { description: schema.description ?? name },
    ]),
  );
  return { anyOf: [{ type: 'object', properties }, {}] };
}

/** Texts of brokers and handlers come through it. */
function safeLog(log: Log): Log {
  return {
    notice: (message) => log.notice(printableText(message)),
    warning: (message) => log.warning(printableText(message)),
    error: (message) => log.error(printableText(message)),
  };
}

function mentionsReadOnly(operator: unknown): boolean {
  if (typeof operator === 'string') return true;
  return typeof operator === 'object' && operator !== null && 'readOnly' in operator;
}

function withCommon(common: FunctionDefinition, own: FunctionDefinition): FunctionDefinition {
  return { ...common, ...own, environment: { ...common.environment, ...own.environment } };
}

/** What the user's own additions to a function (`functions` extensions of other plugins) set stays. */
function complete(definition: FunctionDefinition, completion: FunctionDefinition): void {
  Object.assign(definition, {
    ...completion,
    ...definition,
    environment: { ...completion.environment, ...definition.environment },
  });
}

/** What the added functions and roles have instead of the provider's settings. */
function withOwnSettings(
  provider: Provider,
  { permissionsBoundary, vpc }: RocketMQService['options'],
): Provider {
  const own = vpc === undefined ? provider : { ...provider, vpc };
  if (permissionsBoundary === undefined) return own;
  const role = typeof provider.iam?.role === 'object' ? provider.iam.role : {};
  return { ...own, iam: { ...provider.iam, role: { ...role, permissionsBoundary } } };
}

/** Serverless makes the log groups of the added functions, and has no option for their key. */
function encryptLogs(
  { compiledCloudFormationTemplate: { Resources } }: Provider,
  naming: Naming,
  kmsKeyArn: unknown,
): void {
  if (kmsKeyArn === undefined) return;
  for (const key of ADDED) {
    const logGroup = Resources[naming.getLogGroupLogicalId(key)];
    if (logGroup?.Type === 'AWS::Logs::LogGroup')
      Object.assign(logGroup.Properties as object, { KmsKeyId: kmsKeyArn });
  }
}

/** Bundles of one process, so that two local runs at a time do not overwrite each other's. Goes with the process. */
function localDirectory(serverless: Serverless): string {
  const directory = path.join(serverless.serviceDir, '.rocketmq', String(process.pid));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
