import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BOOTSTRAP = fileURLToPath(new URL('./bootstrap.ts', import.meta.url));
const SYNC_PAYLOAD_BYTES = 6_291_556;
const ASYNC_PAYLOAD_BYTES = 1_048_576;
const THROTTLED_AGAIN_MS = 100;

export interface LocalFunction {
  /** Path of the module and the exported name, as Lambda writes it: `/tmp/x/index.mjs.handler`. */
  readonly handler: string;
  /** Seconds. */
  readonly timeout: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly reservedConcurrency?: number;
  /** Of asynchronous invocations. */
  readonly maximumRetryAttempts?: number;
  /** Seconds. */
  readonly maximumEventAge?: number;
  /** Function that gets the record of an asynchronous invocation that failed for good. */
  readonly onFailure?: string;
  /** Keep no payloads in `invocations`: for functions that are called very often. */
  readonly forgetPayloads?: boolean;
}

/** One run of a function, for assertions. */
export interface Invocation {
  readonly requestId: string;
  readonly functionName: string;
  readonly startedAt: number;
  readonly payload: string;
  endedAt: number | undefined;
  error: { readonly errorType: string; readonly errorMessage: string } | undefined;
}

interface Result {
  readonly payload: Buffer;
  readonly failed: boolean;
}

interface Environment {
  readonly id: string;
  readonly functionName: string;
  readonly process: ChildProcess;
  /** The runtime that waits for its next event. */
  waiting: ServerResponse | undefined;
  job:
    | {
        readonly invocation: Invocation;
        readonly payload: Buffer;
        readonly done: (result: Result) => void;
        timer: NodeJS.Timeout | undefined;
      }
    | undefined;
  dead: boolean;
  /** Why it was killed, when we did it. */
  reason: { errorType: string; errorMessage: string } | undefined;
}

/**
 * A Lambda service for tests: the Invoke API as the AWS SDK speaks it, the Runtime API towards one child process per environment, one event at a time in each.
 * It has what serverless-offline lacks: throttling, a real kill at the deadline, crashes, payload limits, asynchronous retries, freezing between events.
 */
export class LocalLambda {
  readonly #functions: ReadonlyMap<string, LocalFunction>;
  readonly #environments = new Map<string, Environment>();
  readonly #onLog: (functionName: string, line: string) => void;
  readonly #freeze: boolean;
  readonly #retryDelayMs: number;
  readonly #pending = new Set<Promise<void>>();
  #server: Server | undefined;
  #port = 0;
  #closed = false;
  #accountConcurrency = Number.POSITIVE_INFINITY;
  /** Stopped processes would survive a test that dies. */
  readonly #onExit = (): void => {
    for (const { process: child } of this.#environments.values()) child.kill('SIGKILL');
  };
  readonly invocations: Invocation[] = [];

  constructor(
    functions: Readonly<Record<string, LocalFunction>>,
    options: {
      readonly onLog?: (functionName: string, line: string) => void;
      readonly freeze?: boolean;
      readonly retryDelayMs?: number;
    } = {},
  ) {
    this.#functions = new Map(Object.entries(functions));
    this.#onLog = options.onLog ?? (() => {});
    this.#freeze = options.freeze ?? true;
    this.#retryDelayMs = options.retryDelayMs ?? 500;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#route(request, response).catch((error: unknown) =>
        send(
          response,
          500,
          { Type: 'Service', Message: String(error) },
          { 'x-amzn-errortype': 'ServiceException' },
        ),
      );
    });
    server.requestTimeout = 0;
    server.keepAliveTimeout = 120_000;
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    process.once('exit', this.#onExit);
  }

  async stop(): Promise<void> {
    this.#closed = true;
    process.off('exit', this.#onExit);
    for (const environment of this.#environments.values())
      this.#kill(environment, { errorType: 'Shutdown', errorMessage: 'the service stops' });
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  /** Running invocations of a function. */
  running(functionName: string): Invocation[] {
    return [...this.#environments.values()]
      .filter((environment) => environment.functionName === functionName)
      .flatMap(({ job }) => (job === undefined ? [] : [job.invocation]));
  }

  /** Kills the environment that runs the invocation, as the platform or an out-of-memory would. */
  killInvocation(requestId: string): boolean {
    const environment = this.#environmentOf(requestId);
    if (environment === undefined) return false;
    this.#signal(environment, 'SIGCONT');
    environment.process.kill('SIGKILL');
    return true;
  }

  /**
   * Stops the environment that runs the invocation, as a host that is short of processor time would. Its timeout keeps counting.
   * @returns how it is thawed; undefined: the invocation has ended
   */
  freezeInvocation(requestId: string): (() => void) | undefined {
    const environment = this.#environmentOf(requestId);
    if (environment === undefined) return undefined;
    environment.process.kill('SIGSTOP');
    return () => {
      // Between two events it is frozen anyway.
      if (environment.job !== undefined || environment.waiting === undefined)
        environment.process.kill('SIGCONT');
    };
  }

  /** The account's limit: invocations of all functions at once. What runs already goes on. */
  limitConcurrency(invocations: number): void {
    this.#accountConcurrency = invocations;
  }

  #environmentOf(requestId: string): Environment | undefined {
    return [...this.#environments.values()].find(
      ({ job }) => job?.invocation.requestId === requestId,
    );
  }

  /** Asynchronous invocations that have not ended. */
  get pending(): number {
    return this.#pending.size;
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const invoke = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(pathname);
    if (invoke !== null)
      return this.#invokeApi(decodeURIComponent(invoke[1] as string), request, response);
    const runtime = /^\/runtime\/([^/]+)\/2018-06-01\/runtime\/(.+)$/.exec(pathname);
    if (runtime !== null)
      return this.#runtimeApi(
        this.#environments.get(runtime[1] as string),
        runtime[2] as string,
        request,
        response,
      );
    send(response, 404, { Message: 'no such route' });
  }

  async #invokeApi(
    reference: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const name = reference.includes(':function:')
      ? ((reference.split(':function:')[1] ?? '').split(':')[0] as string)
      : reference;
    const payload = await bodyOf(request);
    const asynchronous = request.headers['x-amz-invocation-type'] === 'Event';
    const refuse = (status: number, type: string, Message: string): void =>
      send(response, status, { Type: 'User', Message }, { 'x-amzn-errortype': type });
    if (!this.#functions.has(name))
      return refuse(404, 'ResourceNotFoundException', `Function not found: ${name}`);
    if (payload.length > (asynchronous ? ASYNC_PAYLOAD_BYTES : SYNC_PAYLOAD_BYTES))
      return refuse(413, 'RequestTooLargeException', `${payload.length} byte payload is too large`);
    if (request.headers['x-amz-invocation-type'] === 'DryRun')
      return send(response, 204, undefined);
    if (asynchronous) {
      const work: Promise<void> = this.#runAsynchronously(name, payload).finally(() =>
        this.#pending.delete(work),
      );
      this.#pending.add(work);
      return send(response, 202, undefined);
    }
    const result = await this.#run(name, payload, randomUUID());
    if (result === 'throttled') return refuse(429, 'TooManyRequestsException', 'Rate Exceeded.');
    if (result.payload.length > SYNC_PAYLOAD_BYTES)
      return send(
        response,
        200,
        {
          errorType: 'Function.ResponseSizeTooLarge',
          errorMessage:
            'Response payload size exceeded maximum allowed payload size (6291556 bytes).',
        },
        { 'x-amz-function-error': 'Unhandled' },
      );
    send(
      response,
      200,
      result.payload,
      result.failed ? { 'x-amz-function-error': 'Unhandled' } : {},
    );
  }

  /** Throttles do not count; errors are tried again as often as the function says, while the event is young enough. */
  async #runAsynchronously(name: string, payload: Buffer): Promise<void> {
    const {
      maximumRetryAttempts = 2,
      maximumEventAge = 21_600,
      onFailure,
    } = this.#functions.get(name) as LocalFunction;
    const requestId = randomUUID();
    const giveUpAt = Date.now() + maximumEventAge * 1000;
    for (let attempt = 1; !this.#closed; ) {
      if (Date.now() > giveUpAt) return;
      const result = await this.#run(name, payload, requestId);
      if (result === 'throttled') await sleep(THROTTLED_AGAIN_MS);
      else if (!result.failed) return;
      else if (attempt > maximumRetryAttempts) {
        if (onFailure === undefined) return;
        const record = {
          version: '1.0',
          requestContext: {
            requestId,
            functionArn: arn(name),
            condition: 'RetriesExhausted',
            approximateInvokeCount: attempt,
          },
          requestPayload: JSON.parse(payload.toString() || 'null'),
          responsePayload: JSON.parse(result.payload.toString() || 'null'),
        };
        await this.#runAsynchronously(onFailure, Buffer.from(JSON.stringify(record)));
        return;
      } else {
        attempt++;
        await sleep(this.#retryDelayMs);
      }
    }
  }

  #run(name: string, payload: Buffer, requestId: string): Promise<Result> | 'throttled' {
    const { reservedConcurrency, forgetPayloads = false } = this.#functions.get(
      name,
    ) as LocalFunction;
    const busy = [...this.#environments.values()].filter(({ job }) => job !== undefined).length;
    if (busy >= this.#accountConcurrency) return 'throttled';
    const own = [...this.#environments.values()].filter(
      (environment) => environment.functionName === name && !environment.dead,
    );
    if (
      reservedConcurrency !== undefined &&
      own.filter(({ job }) => job !== undefined).length >= reservedConcurrency
    )
      return 'throttled';
    const environment = own.find(({ job }) => job === undefined) ?? this.#createEnvironment(name);
    const invocation: Invocation = {
      requestId,
      functionName: name,
      startedAt: Date.now(),
      payload: forgetPayloads ? '' : payload.toString(),
      endedAt: undefined,
      error: undefined,
    };
    this.invocations.push(invocation);
    return new Promise((resolve) => {
      environment.job = { invocation, payload, done: resolve, timer: undefined };
      if (environment.waiting !== undefined) this.#deliver(environment);
    });
  }

  #createEnvironment(name: string): Environment {
    const { handler, environment: variables } = this.#functions.get(name) as LocalFunction;
    const id = randomUUID();
    const child = spawn(process.execPath, [BOOTSTRAP], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'local',
        AWS_SECRET_ACCESS_KEY: 'local',
        AWS_ENDPOINT_URL_LAMBDA: this.endpoint,
        ...variables,
        AWS_LAMBDA_RUNTIME_API: `${new URL(this.endpoint).host}/runtime/${id}`,
        AWS_LAMBDA_FUNCTION_NAME: name,
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
        _HANDLER: handler,
        LAMBDA_TASK_ROOT: '/',
        TZ: ':UTC',
      },
    });
    const environment: Environment = {
      id,
      functionName: name,
      process: child,
      waiting: undefined,
      job: undefined,
      dead: false,
      reason: undefined,
    };
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => this.#onLog(name, line));
    child.once('exit', (code, signal) => {
      environment.dead = true;
      this.#environments.delete(id);
      const requestId = environment.job?.invocation.requestId;
      const reason = environment.reason ?? {
        errorType: 'Runtime.ExitError',
        errorMessage: `RequestId: ${requestId} Error: Runtime exited with ${signal === null ? `error: exit status ${code}` : `signal: ${signal}`}`,
      };
      this.#finish(environment, true, Buffer.from(JSON.stringify(reason)));
    });
    this.#environments.set(id, environment);
    return environment;
  }

  #deliver(environment: Environment): void {
    const { job, waiting } = environment;
    if (job === undefined || waiting === undefined) return;
    const { timeout } = this.#functions.get(environment.functionName) as LocalFunction;
    environment.waiting = undefined;
    this.#signal(environment, 'SIGCONT');
    const { requestId } = job.invocation;
    job.timer = setTimeout(
      () =>
        this.#kill(environment, {
          errorType: 'Sandbox.Timedout',
          errorMessage: `RequestId: ${requestId} Error: Task timed out after ${timeout.toFixed(2)} seconds`,
        }),
      timeout * 1000,
    );
    send(waiting, 200, job.payload.length === 0 ? Buffer.from('{}') : job.payload, {
      'lambda-runtime-aws-request-id': requestId,
      'lambda-runtime-deadline-ms': String(Date.now() + timeout * 1000),
      'lambda-runtime-invoked-function-arn': arn(environment.functionName),
      'lambda-runtime-trace-id': traceIdOf(requestId),
    });
  }

  async #runtimeApi(
    environment: Environment | undefined,
    route: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    if (environment === undefined) return send(response, 410, undefined);
    if (route === 'invocation/next') {
      environment.waiting = response;
      if (environment.job !== undefined) this.#deliver(environment);
      else this.#signal(environment, 'SIGSTOP');
      return;
    }
    const body = await bodyOf(request);
    send(response, 202, undefined);
    if (route === 'init/error')
      environment.reason = JSON.parse(body.toString()) as {
        errorType: string;
        errorMessage: string;
      };
    else this.#finish(environment, route.endsWith('/error'), body);
  }

  #finish(environment: Environment, failed: boolean, payload: Buffer): void {
    const { job } = environment;
    if (job === undefined) return;
    environment.job = undefined;
    clearTimeout(job.timer);
    job.invocation.endedAt = Date.now();
    if (failed)
      job.invocation.error = JSON.parse(payload.toString()) as {
        errorType: string;
        errorMessage: string;
      };
    job.done({ failed, payload });
  }

  #kill(environment: Environment, reason: { errorType: string; errorMessage: string }): void {
    environment.reason = reason;
    environment.dead = true;
    environment.process.kill('SIGKILL');
  }

  #signal(environment: Environment, signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.#freeze) environment.process.kill(signal);
  }
}

/** Of X-Ray, of an invocation. */
export function traceIdOf(requestId: string): string {
  const digits = requestId.replaceAll('-', '');
  return `Root=1-00000000-${digits.slice(0, 24)};Parent=${digits.slice(0, 16)};Sampled=0`;
}

function arn(name: string): string {
  return `arn:aws:lambda:eu-west-1:123456789012:function:${name}`;
}

function send(
  response: ServerResponse,
  status: number,
  body: object | Buffer | undefined,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-amzn-requestid': randomUUID(),
    'x-amz-executed-version': '$LATEST',
    ...headers,
  });
  response.end(body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
