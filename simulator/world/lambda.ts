import type { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { RocketMQEvent } from '../../src/model/event.ts';
import type { PullerRequest } from '../../src/ports/invoke.ts';
import { currentHost } from '../kernel/globals.ts';
import type { Random } from '../kernel/random.ts';
import { createHost, type Host, type Scheduler } from '../kernel/scheduler.ts';
import type { CountedFaults } from './faults.ts';
import type { HandlerScript, Handlers } from './handlers.ts';

export interface LambdaHooks {
  startPuller(request: PullerRequest): void;
  deliveryStarted(script: HandlerScript): void;
  deliveryEnded(script: HandlerScript): void;
}

class LambdaError extends Error {
  readonly $metadata: { readonly httpStatusCode: number };

  constructor(name: string, message: string, httpStatusCode: number) {
    super(message);
    this.name = name;
    this.$metadata = { httpStatusCode };
  }
}

const PULLER_FUNCTION = 'puller';
/** Lambda's longest init phase. */
const MAX_INIT_MS = 10_000;
const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value) ?? '');

/** The functions of one account: asynchronous invocations of pullers, synchronous ones of handlers, cold starts and throttles. */
export class Lambda {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #faults: CountedFaults;
  readonly #handlers: Handlers;
  readonly #hooks: LambdaHooks;
  readonly #place = createHost('lambda');
  readonly #handlerTimeoutMs: () => number;
  #calls = 0;
  /** Handler functions that run. */
  readonly running = new Set<Host>();
  /** Invocations are refused until then, epoch ms. */
  throttledUntil = 0;
  /** Functions that cannot be called, and why. */
  readonly absent = new Map<string, 'throttled' | 'missing'>();

  constructor(
    scheduler: Scheduler,
    random: Random,
    faults: CountedFaults,
    handlers: Handlers,
    handlerTimeoutMs: () => number,
    hooks: LambdaHooks,
  ) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#faults = faults;
    this.#handlers = handlers;
    this.#handlerTimeoutMs = handlerTimeoutMs;
    this.#hooks = hooks;
  }

  /** What createPullerInvoker and createLambdaHandler take. */
  client(): LambdaClient {
    const client = {
      send: ({ input }: InvokeCommand, { abortSignal }: { abortSignal?: AbortSignal } = {}) =>
        input.FunctionName === PULLER_FUNCTION
          ? this.#invokeLater(input.Payload as Uint8Array)
          : this.#call(input.FunctionName ?? '', input.Payload as Uint8Array, abortSignal),
      destroy: () => {},
    };
    return client as unknown as LambdaClient;
  }

  #coldStartMs(): number {
    return this.#random.chance(0.3) ? this.#random.int(300, 2_500) : this.#random.int(5, 40);
  }

  #answer<T>(
    host: Host,
    settle: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#scheduler.schedule(this.#random.int(3, 30), host, () => settle(resolve, reject));
    });
  }

  #invokeLater(payload: Uint8Array): Promise<object> {
    const caller = currentHost();
    const request = JSON.parse(Buffer.from(payload).toString()) as PullerRequest;
    const fault = this.#faults.ofInvocation();
    const start = (ms: number): void => {
      // Lambda keeps asynchronous invocations and tries again while it throttles.
      this.#scheduler.schedule(ms, this.#place, () => {
        const waitMs = this.throttledUntil - this.#scheduler.now;
        if (waitMs > 0) start(waitMs + this.#random.int(100, 2_000));
        else this.#hooks.startPuller(request);
      });
    };
    if (fault?.fate !== 'never')
      start(this.#coldStartMs() + (fault?.fate === 'late' ? fault.ms : 0));
    if (fault?.fate === 'twice') start(this.#coldStartMs() + fault.ms);
    return this.#answer(caller, (resolve) => resolve({ StatusCode: 202 }));
  }

  #call(name: string, payload: Uint8Array, abortSignal: AbortSignal | undefined): Promise<object> {
    const caller = currentHost();
    const refusal = this.#whyRefused(name);
    if (refusal !== undefined) return this.#answer(caller, (_resolve, reject) => reject(refusal));
    const fate = this.#faults.ofHandlerCall(caller);
    const event = JSON.parse(Buffer.from(payload).toString()) as RocketMQEvent;
    const script = this.#handlers.script(event, caller, this.#scheduler.now);
    const host = createHost(`handler-${++this.#calls}`);
    this.running.add(host);
    this.#hooks.deliveryStarted(script);
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    const timeoutMs = this.#handlerTimeoutMs();
    const end = fate === 'dies' ? 'dies' : script.end;
    const isSlow = fate === 'slow' || fate === 'cut-off';
    const runMs = end === 'runs-on' || isSlow ? timeoutMs : Math.min(timeoutMs, script.durationMs);
    // The timeout begins to count after the start of the environment.
    const startMs = isSlow ? this.#random.int(5, MAX_INIT_MS) : this.#coldStartMs();
    const onAbort = (): void =>
      reject(Object.assign(new Error('Request aborted'), { name: 'AbortError' }));
    abortSignal?.addEventListener('abort', onAbort, { once: true });
    // The connection breaks, and the function goes on.
    if (fate === 'cut-off') this.#settle(caller, abortSignal, onAbort, () => reject(hungUp()));
    this.#scheduler.schedule(startMs + runMs, host, () => {
      this.running.delete(host);
      if (end === 'dies')
        for (const delivery of script.deliveries)
          Object.assign(delivery, { outcome: 'none', failedWithCall: true });
      this.#hooks.deliveryEnded(script);
      if (fate === 'answer-lost') {
        this.#settle(caller, abortSignal, onAbort, () => reject(hungUp()));
        return;
      }
      this.#settle(caller, abortSignal, onAbort, () => resolve(responseOf(end, script.answer)));
    });
    return promise;
  }

  #whyRefused(name: string): LambdaError | undefined {
    const absent = this.absent.get(name);
    if (absent === 'missing')
      return new LambdaError('ResourceNotFoundException', `Function not found: ${name}`, 404);
    return absent === 'throttled' || this.#scheduler.now < this.throttledUntil
      ? new LambdaError('TooManyRequestsException', 'Rate Exceeded.', 429)
      : undefined;
  }

  #settle(
    caller: Host,
    signal: AbortSignal | undefined,
    onAbort: () => void,
    settle: () => void,
  ): void {
    this.#scheduler.schedule(this.#random.int(3, 30), caller, () => {
      signal?.removeEventListener('abort', onAbort);
      settle();
    });
  }
}

function hungUp(): Error {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
}

function responseOf(end: HandlerScript['end'], answer: unknown): object {
  switch (end) {
    case 'answers':
      return { StatusCode: 200, Payload: encode(answer) };
    case 'throws':
      return {
        StatusCode: 200,
        FunctionError: 'Unhandled',
        Payload: encode({ errorType: 'Error', errorMessage: 'the handler threw' }),
      };
    case 'dies':
      return {
        StatusCode: 200,
        FunctionError: 'Unhandled',
        Payload: encode({ errorType: 'Runtime.ExitError', errorMessage: 'Runtime exited' }),
      };
    case 'runs-on':
      return {
        StatusCode: 200,
        FunctionError: 'Unhandled',
        Payload: encode({ errorType: 'Sandbox.Timedout', errorMessage: 'Task timed out' }),
      };
  }
}
