import { ConnectionError, RequestTimeoutError, RocketMQError, TopicNotFoundError } from '../errors.ts';
import type { TopicRoute } from '../model/route.ts';
import type { Clock } from '../ports/clock.ts';
import type { CallOptions } from '../ports/rocketmq.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { RequestDefinition } from '../requests/define-request.ts';
import { getRoute, toTopicRoute } from '../requests/get-route.ts';
import { brokerError } from './broker-error.ts';

/** Sends one request to one address and gives back the answer, whatever its code. */
export type Call = <Request, Answer>(
  address: string,
  definition: RequestDefinition<Request, Answer>,
  request: Request,
  options: CallOptions,
) => Promise<RemotingCommand>;

const ROUTE_AGE_MS = 30_000;

/**
 * Several name servers that do not know of each other: sticks to the one that answered last, goes on to the next when it fails.
 * Routes are kept for 30 s, as Java's client does (pollNameServerInterval).
 */
export class NameServers {
  readonly #addresses: readonly string[];
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #routes = new Map<string, { readonly route: TopicRoute; readonly readAt: number }>();
  #current: number;

  constructor(addresses: readonly string[], call: Call, clock: Clock, random: () => number) {
    this.#addresses = addresses;
    this.#call = call;
    this.#clock = clock;
    this.#current = Math.floor(random() * addresses.length) % Math.max(1, addresses.length);
  }

  /** @throws TopicNotFoundError when one that answered knows no route and none knows one; ConnectionError when none answered */
  async route(topic: string, options: CallOptions & { fresh?: boolean }): Promise<TopicRoute> {
    const cached = this.#routes.get(topic);
    if (cached !== undefined && options.fresh !== true && this.#clock.now() - cached.readAt < ROUTE_AGE_MS) return cached.route;
    try {
      const answer = getRoute.decodeAnswer(await this.ask(getRoute, { topic }, options));
      if (answer.mappedBrokers.length > 0)
        throw new RocketMQError(
          'ROCKETMQ_STATIC_TOPIC',
          `topic "${topic}" is a static topic (logical queues mapped over brokers), which is not supported: use an ordinary topic`,
        );
      const route = toTopicRoute(topic, answer);
      this.#routes.set(topic, { route, readAt: this.#clock.now() });
      return route;
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
      this.#routes.delete(topic);
      throw new TopicNotFoundError(topic, this.#addresses);
    }
  }

  /** Forgets a route that turned out to be old. */
  forget(topic: string): void {
    this.#routes.delete(topic);
  }

  /** Asks one name server after the other until one says SUCCESS. */
  async ask<Request, Answer>(
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    options: CallOptions,
  ): Promise<RemotingCommand> {
    const failures: string[] = [];
    let notFound: NotFound | undefined;
    let refusal: RocketMQError | undefined;
    for (let tried = 0; tried < this.#addresses.length; tried++) {
      const index = (this.#current + tried) % this.#addresses.length;
      const address = this.#addresses[index] as string;
      try {
        const answer = await this.#call(address, definition, request, options);
        if (answer.code === ResponseCode.SUCCESS) {
          this.#current = index;
          return answer;
        }
        // A name server that has just started may not know what the next one knows.
        if (answer.code === ResponseCode.TOPIC_NOT_EXIST) notFound = new NotFound();
        else refusal = brokerError(definition.name, address, answer);
      } catch (error) {
        if (!(error instanceof ConnectionError || error instanceof RequestTimeoutError)) throw error;
        failures.push(error.message);
      }
    }
    throw (
      notFound ??
      refusal ??
      new ConnectionError(
        this.#addresses.join(';'),
        `no name server answers: ${failures.join('; ')}. Check nameServers, the network and the security groups`,
      )
    );
  }
}

class NotFound extends Error {}
