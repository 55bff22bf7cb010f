import {
  ConnectionError,
  LimitExceededError,
  ProtocolError,
  RequestTimeoutError,
  RocketMQError,
  RouteRefusedError,
  TopicNotFoundError,
} from '../errors.ts';
import type { TopicRoute } from '../model/route.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { CallOptions } from '../ports/rocketmq.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { RequestDefinition } from '../requests/define-request.ts';
import { type GetRouteAnswer, getRoute, toTopicRoute } from '../requests/get-route.ts';
import { brokerError } from './broker-error.ts';
import type { Exchange } from './exchange.ts';

/** As often as Java's client reads routes again (pollNameServerInterval). */
const ROUTE_AGE_MS = 30_000;
/** Per name server. */
const CALL_TIMEOUT_MS = 3000;

export interface NameServersDeps {
  readonly addresses: readonly string[];
  readonly exchange: Exchange;
  readonly clock: Pick<Clock, 'now'>;
  /** 0 ≤ r < 1: which one to begin with, so that many clients spread over them. */
  readonly random: () => number;
  readonly logger?: Logger | undefined;
}

/**
 * Several name servers that do not know of each other: sticks to the one that answered last, goes on to the next when it fails or when its answer
 * cannot be used. One that failed is asked again only when all others failed too. Mirrors NettyRemotingClient's choice of a name server and MQClientInstance's route table.
 */
export class NameServers {
  readonly #deps: NameServersDeps;
  readonly #routes = new Map<string, { readonly route: TopicRoute; readonly readAt: number }>();
  readonly #failed = new Set<string>();
  #current: number;

  constructor(deps: NameServersDeps) {
    this.#deps = deps;
    this.#current = Math.floor(deps.random() * deps.addresses.length);
  }

  /**
   * @throws TopicNotFoundError when a name server answered that it knows no route and none knows one; RouteRefusedError when none gave a route
   * that can be used, and one gave another; ConnectionError when none answered
   */
  async route(topic: string, options: CallOptions & { fresh?: boolean }): Promise<TopicRoute> {
    const cached = this.#routes.get(topic);
    if (
      cached !== undefined &&
      options.fresh !== true &&
      this.#deps.clock.now() - cached.readAt < ROUTE_AGE_MS
    )
      return cached.route;
    const answer = await this.#ask(getRoute, { topic }, options, (found) =>
      readRoute(topic, found),
    );
    if (answer === undefined) {
      this.#routes.delete(topic);
      throw new TopicNotFoundError(topic, this.#deps.addresses);
    }
    if (answer.mappedBrokers.length > 0)
      throw new RocketMQError(
        'ROCKETMQ_STATIC_TOPIC',
        `topic "${topic}" is a static topic (logical queues mapped over brokers), which is not supported: use an ordinary topic`,
      );
    const route = toTopicRoute(topic, answer);
    this.#routes.set(topic, { route, readAt: this.#deps.clock.now() });
    return route;
  }

  /** Forgets a route that turned out to be old. */
  forget(topic: string): void {
    this.#routes.delete(topic);
  }

  /**
   * Asks one name server after the other until one gives an answer that `read` takes.
   * @throws ConnectionError that lists every address tried, the refusal, or what was wrong with the answers
   */
  async ask<Request, Answer, Result>(
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    options: CallOptions,
    read: (answer: RemotingCommand) => Result,
  ): Promise<Result> {
    const answer = await this.#ask(definition, request, options, read);
    if (answer === undefined)
      throw new RocketMQError(
        'ROCKETMQ_BROKER',
        `${definition.name} was answered with TOPIC_NOT_EXIST`,
      );
    return answer;
  }

  /** Undefined: TOPIC_NOT_EXIST. */
  async #ask<Request, Answer, Result>(
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    { timeoutMs = CALL_TIMEOUT_MS, signal }: CallOptions,
    read: (answer: RemotingCommand) => Result,
  ): Promise<Result | undefined> {
    const { exchange, logger } = this.#deps;
    const failures: string[] = [];
    let refusal: RocketMQError | undefined;
    let unusable: UnusableAnswer | undefined;
    let notFound = false;
    for (const { address, index } of this.#inOrder()) {
      // One that failed before is not worth waiting for when another has answered.
      if (notFound && this.#failed.has(address)) continue;
      try {
        const answer = await exchange(address, definition, request, { timeoutMs, signal });
        this.#failed.delete(address);
        if (answer.code === ResponseCode.SUCCESS) {
          const result = read(answer);
          this.#current = index;
          return result;
        }
        // A name server that has just started may not know what the next one knows.
        if (answer.code === ResponseCode.TOPIC_NOT_EXIST) notFound = true;
        else refusal = brokerError(definition.name, address, answer);
      } catch (error) {
        if (isUnusable(error)) {
          unusable ??= error;
          const { code } = error;
          logger?.warn({ code, address, err: error }, 'name server answer refused');
          continue;
        }
        if (!(error instanceof ConnectionError || error instanceof RequestTimeoutError))
          throw error;
        this.#failed.add(address);
        failures.push(error.message);
        logger?.warn({ address, err: error }, 'a name server does not answer');
      }
    }
    // Before `notFound`: of a topic whose route was refused nothing may be concluded.
    if (unusable !== undefined) throw unusable;
    if (notFound) return undefined;
    if (refusal !== undefined) throw refusal;
    throw new ConnectionError(
      this.#deps.addresses.join(';'),
      `no name server answers: ${failures.join('; ')}. Check nameServers, the network and the security groups`,
    );
  }

  /** From the one that answered last; those that failed come last. */
  #inOrder(): { address: string; index: number }[] {
    const { addresses } = this.#deps;
    const all = addresses
      .map((_, n) => (this.#current + n) % addresses.length)
      .map((index) => ({ address: addresses[index] ?? '', index }));
    return [
      ...all.filter(({ address }) => !this.#failed.has(address)),
      ...all.filter(({ address }) => this.#failed.has(address)),
    ];
  }
}

type UnusableAnswer = ProtocolError | LimitExceededError;

/** An answer that arrived and cannot be read, is outside the bounds, or larger than a frame may be. */
function isUnusable(error: unknown): error is UnusableAnswer {
  return error instanceof ProtocolError || error instanceof LimitExceededError;
}

/** The error names the topic: routes are read on behalf of calls that have nothing to do with it. @throws RouteRefusedError */
function readRoute(topic: string, answer: RemotingCommand): GetRouteAnswer {
  try {
    return getRoute.decodeAnswer(answer);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    const reason = cause instanceof RouteRefusedError ? cause.reason : cause.message;
    throw new RouteRefusedError(reason, topic, { cause });
  }
}
