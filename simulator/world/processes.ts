import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { runCoordinator } from '../../src/coordinator/run-coordinator.ts';
import { createInlineHandler } from '../../src/delivery/inline-handler.ts';
import { createLambdaHandler } from '../../src/delivery/lambda-handler.ts';
import { runRequest } from '../../src/membership/run-request.ts';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { HandlerConfig, ServiceConfig, SourceConfig } from '../../src/model/source.ts';
import { runOperator } from '../../src/operator/run-operator.ts';
import type { PullerRequest } from '../../src/ports/invoke.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { InlineTurns } from '../../src/puller/inline-turns.ts';
import type { PullerOptions } from '../../src/puller/puller-deps.ts';
import { createPullerInvoker } from '../../src/runtime/puller-invoker.ts';
import { createSystemClock } from '../../src/runtime/system-clock.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import type { KeySpace } from '../../src/store/tenant.ts';
import { currentHost, runAs } from '../kernel/globals.ts';
import type { Random } from '../kernel/random.ts';
import { createHost, type Host, type Scheduler } from '../kernel/scheduler.ts';
import type { ProcessKind } from '../plan.ts';
import type { Destinations } from './destinations.ts';
import type { HandlerScript, Handlers } from './handlers.ts';
import type { Lambda } from './lambda.ts';
import type { Network } from './network.ts';
import type { Table } from './table.ts';

/** A sandbox that runs product code. */
export interface Process {
  readonly host: Host;
  readonly kind: ProcessKind | 'operator';
  /** Counts from 1 by kind. */
  readonly invocation: number;
}

export interface ProcessDeps {
  /** Of the processes' names. */
  readonly prefix: string;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: Network;
  readonly table: Table;
  /** Of what a process that starts now reads and writes. */
  readonly keys: () => KeySpace;
  readonly destinations: Destinations;
  readonly lambda: () => Lambda;
  readonly handlers: Handlers;
  readonly service: () => ServiceConfig;
  readonly pullerTimeoutMs: number;
  readonly memoryBytes: number;
  readonly options: Partial<PullerOptions>;
  readonly maxSkewMs: number;
  readonly log: (host: Host, level: string, message: string, fields: object) => void;
  readonly ended: (
    process: Process,
    how: 'returned' | 'failed' | 'killed' | 'timed out',
    leftovers: string | undefined,
  ) => void;
  readonly deliveryStarted: (script: HandlerScript) => void;
  readonly deliveryEnded: (script: HandlerScript) => void;
  /** The process of an inline handler ended before its call did. */
  readonly deliveryCut: (script: HandlerScript) => void;
}

const COORDINATOR_TIMEOUT_MS = 60_000;
const OPERATOR_TIMEOUT_MS = 60_000;
const PROGRAM_TIMEOUT_MS = 24 * 3_600_000;
/** An invocation gives up its last requests so long before its deadline. */
const AT_DEADLINE_MS = 2_000;
/** How long what an invocation leaves behind may take to go. */
const AFTERMATH_MS = 50;

/** Starts, freezes and kills the sandboxes of one deployment. */
export class Processes {
  readonly running = new Map<Host, Process>();
  /** What each puller was deployed with. */
  readonly sourceOf = new WeakMap<Host, SourceConfig>();
  readonly #deps: ProcessDeps;
  /** Calls of inline handlers that go on. */
  readonly #inlineCalls = new Map<HandlerScript, Host>();
  readonly #counts: Record<Process['kind'], number> = {
    puller: 0,
    coordinator: 0,
    handler: 0,
    operator: 0,
  };
  readonly #world = createHost('sandboxes');

  constructor(deps: ProcessDeps) {
    this.#deps = deps;
  }

  of(kind: ProcessKind): Host[] {
    return [...this.running.values()].filter((one) => one.kind === kind).map(({ host }) => host);
  }

  startPuller(request: PullerRequest): void {
    const { table, lambda, pullerTimeoutMs } = this.#deps;
    this.#start('puller', pullerTimeoutMs, async (host, remainingMs, logger) => {
      const service = this.#deps.service();
      this.sourceOf.set(host, service.sources[0]!);
      const client = this.#client(service, logger);
      const handlers = ({ invocation, functionName }: HandlerConfig) =>
        invocation === 'inline'
          ? createInlineHandler(
              (event: RocketMQEvent) => this.#inline(event),
              () => ({}) as Context,
            )
          : createLambdaHandler(lambda().client(), functionName);
      try {
        await runRequest(request, {
          service,
          client,
          store: createAssignmentStore(table.client(), 'table', {
            keys: this.#deps.keys(),
            newToken: randomUUID,
          }),
          handlers,
          clock: createSystemClock(),
          logger,
          random: Math.random,
          holder: host.name,
          remainingMs,
          memoryBytes: this.#deps.memoryBytes,
          destinations: this.#deps.destinations.clients(),
          options: this.#deps.options,
          inlineTurns: new InlineTurns(),
        });
      } finally {
        await client.close();
      }
    });
  }

  /** A user's program. It has no deadline; faults of pullers are its, too. */
  startProgram(main: (host: Host, logger: Logger) => Promise<void>): void {
    this.#start('puller', PROGRAM_TIMEOUT_MS, (host, _remainingMs, logger) => main(host, logger));
  }

  startCoordinator(): void {
    const { table, lambda } = this.#deps;
    this.#start('coordinator', COORDINATOR_TIMEOUT_MS, async (_host, remainingMs, logger) => {
      const service = this.#deps.service();
      const client = this.#client(service, logger);
      try {
        await runCoordinator({
          service,
          clients: () => client,
          store: createAssignmentStore(table.client(), 'table', {
            keys: this.#deps.keys(),
            newToken: randomUUID,
          }),
          invoker: createPullerInvoker(lambda().client(), 'puller'),
          clock: createSystemClock(),
          logger,
          remainingMs,
        });
      } finally {
        await client.close();
      }
    });
  }

  /** Runs a command of the operator function, and hands over its answer. */
  startOperator(
    command: string,
    args: Readonly<Record<string, unknown>>,
    answered: (answer: Awaited<ReturnType<typeof runOperator>>) => void,
  ): void {
    const { table, lambda } = this.#deps;
    this.#start('operator', OPERATOR_TIMEOUT_MS, async (_host, remainingMs, logger) => {
      const service = this.#deps.service();
      const client = this.#client(service, logger);
      try {
        const answer = await runOperator(
          {
            service,
            clients: () => client,
            store: createAssignmentStore(table.client(), 'table', {
              keys: this.#deps.keys(),
              newToken: randomUUID,
            }),
            clock: createSystemClock(),
            remainingMs,
            handlers: ({ functionName }) => createLambdaHandler(lambda().client(), functionName),
            checkHandler: async () => undefined,
            probe: {
              refusal: async () => undefined,
              lookup: async () => [],
              connect: async () => 1,
            },
            place: 'function',
          },
          { version: 1, command, args },
        );
        answered(answer);
      } finally {
        await client.close();
      }
    });
  }

  kill(host: Host, how: 'killed' | 'timed out' = 'killed'): void {
    const process = this.running.get(host);
    this.#deps.scheduler.kill(host);
    this.#deps.network.cutClient(host);
    this.#cutInlineCalls(host);
    if (process === undefined) return;
    this.running.delete(host);
    this.#deps.ended(process, how, undefined);
  }

  #cutInlineCalls(host: Host): void {
    for (const [script, of] of this.#inlineCalls)
      if (of === host) {
        this.#inlineCalls.delete(script);
        this.#deps.deliveryCut(script);
      }
  }

  freeze(host: Host, ms: number): void {
    const { scheduler } = this.#deps;
    scheduler.freeze(host);
    scheduler.schedule(ms, this.#world, () => scheduler.thaw(host));
  }

  #client(service: ServiceConfig, logger: Logger) {
    return createRocketMQClient(service.clusters.default!, {
      clock: createSystemClock(),
      random: Math.random,
      logger,
    });
  }

  async #inline(event: RocketMQEvent): Promise<unknown> {
    const { handlers, scheduler } = this.#deps;
    const host = currentHost();
    const script = handlers.script(event, host, scheduler.now);
    this.#deps.deliveryStarted(script);
    this.#inlineCalls.set(script, host);
    if (script.end === 'runs-on') return new Promise(() => {});
    await createSystemClock().sleep(script.durationMs);
    this.#inlineCalls.delete(script);
    this.#deps.deliveryEnded(script);
    if (script.end === 'dies') {
      this.kill(host);
      return new Promise(() => {});
    }
    if (script.end === 'throws') throw new Error('the handler threw');
    return script.answer;
  }

  #start(
    kind: Process['kind'],
    timeoutMs: number,
    main: (host: Host, remainingMs: () => number, logger: Logger) => Promise<void>,
  ): void {
    const { scheduler, random, maxSkewMs } = this.#deps;
    const invocation = ++this.#counts[kind];
    const host = createHost(
      `${this.#deps.prefix}${kind}-${invocation}`,
      random.int(-maxSkewMs, maxSkewMs),
    );
    const process: Process = { host, kind, invocation };
    this.running.set(host, process);
    const deadline = scheduler.now + timeoutMs;
    scheduler.schedule(timeoutMs, this.#world, () => {
      if (this.running.get(host) === process) this.kill(host, 'timed out');
    });
    const finish = (how: 'returned' | 'failed'): void => {
      scheduler.schedule(AFTERMATH_MS, this.#world, () => {
        if (this.running.get(host) !== process) return;
        this.running.delete(host);
        // At its deadline an invocation returns although the table has not answered.
        const leftovers =
          scheduler.now >= deadline - AT_DEADLINE_MS ? undefined : this.#leftovers(host);
        scheduler.kill(host);
        this.#deps.network.cutClient(host);
        this.#cutInlineCalls(host);
        this.#deps.ended(process, how, leftovers);
      });
    };
    // Through the scheduler, so that it begins as an event of its own.
    scheduler.schedule(0, host, () => {
      runAs(host, () => main(host, () => deadline - scheduler.now, this.#logger(host))).then(
        () => finish('returned'),
        (error: unknown) => {
          this.#deps.log(host, 'error', 'the invocation failed', { err: error });
          finish('failed');
        },
      );
    });
  }

  #leftovers(host: Host): string | undefined {
    const sockets = this.#deps.network.openSockets(host);
    const timers = [...host.timers].filter(({ cancelled }) => !cancelled).length;
    const left = [
      ...(timers > 0 ? [`${timers} timers`] : []),
      ...(sockets > 0 ? [`${sockets} connections`] : []),
    ];
    return left.length === 0 ? undefined : left.join(' and ');
  }

  #logger(host: Host, bound: object = {}): Logger {
    const write = (level: string) => (fields: object, message: string) =>
      this.#deps.log(host, level, message, { ...bound, ...fields });
    return {
      debug: () => {},
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => this.#logger(host, { ...bound, ...fields }),
    };
  }
}
