import {
  AddressRefusedError,
  ConfigError,
  ConnectionError,
  RouteRefusedError,
  TopicNotFoundError,
} from '../errors.ts';
import { type BrokerData, MASTER_ID, type TopicRoute } from '../model/route.ts';
import type { Logger } from '../ports/logger.ts';
import type { CallOptions } from '../ports/rocketmq.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import { ResponseCode, responseBehaviour } from '../remoting/response-code.ts';
import type { RequestDefinition } from '../requests/define-request.ts';
import { type ClusterInfo, getCluster, readClusterInfo } from '../requests/get-cluster.ts';
import { brokerError } from './broker-error.ts';
import type { Brokers } from './brokers.ts';
import { NotConnectedError } from './connection.ts';
import type { Exchange } from './exchange.ts';
import type { NameServers } from './name-servers.ts';

/** Java's mqClientApiTimeout. */
const CALL_TIMEOUT_MS = 3000;
/** A name server that invents ever new names fills neither log nor memory. */
const MAX_REPORTED = 100;
const SUCCESS_ONLY: readonly number[] = [ResponseCode.SUCCESS];

/** Whom a call goes to. */
export interface CallTarget {
  readonly brokerName: string;
  /** Its route tells of the broker; without a topic the cluster info does. */
  readonly topic?: string;
  /** Master when absent. */
  readonly brokerId?: number;
  /** Any other broker of the name will do when that one is not there. */
  readonly orAny?: boolean;
}

export interface CallRules extends CallOptions {
  /** Codes that are an answer and no error; SUCCESS when absent. */
  readonly accepted?: readonly number[];
  /** May be sent again when its connection broke: a read, or a write whose repetition changes nothing. */
  readonly repeatable?: boolean;
  /** See OutgoingRequest. */
  readonly reserve?: ((bytes: number) => boolean) | undefined;
}

type Outcome =
  | { readonly kind: 'answered'; readonly announced: string; readonly answer: RemotingCommand }
  /** `announced` is undefined when the route has no such broker. */
  | {
      readonly kind: 'unreachable';
      readonly announced: string | undefined;
      readonly sent: boolean;
      readonly error: ConnectionError;
    };

/**
 * Calls to brokers by their names. A route that turns out to be old is read again, once, and the call repeated where that is safe:
 * when it was not sent, when the broker refused it with a code that says so, or when it is repeatable. All within the time of the one call.
 */
export class BrokerCalls {
  readonly #exchange: Exchange;
  readonly #nameServers: NameServers;
  readonly #brokers: Brokers;
  readonly #now: () => number;
  readonly #logger: Logger | undefined;
  /** Brokers left out of the cluster info that stand in the log. */
  readonly #reported = new Set<string>();
  /** By broker name, as its last answer said. */
  readonly #versions = new Map<string, number>();

  constructor(deps: {
    exchange: Exchange;
    nameServers: NameServers;
    brokers: Brokers;
    now: () => number;
    logger?: Logger | undefined;
  }) {
    this.#exchange = deps.exchange;
    this.#nameServers = deps.nameServers;
    this.#brokers = deps.brokers;
    this.#now = deps.now;
    this.#logger = deps.logger;
  }

  async route(topic: string, options: CallOptions & { fresh?: boolean }): Promise<TopicRoute> {
    const route = await this.#nameServers.route(topic, options);
    this.#brokers.learn(route.brokers);
    return route;
  }

  async cluster(options: CallOptions): Promise<readonly BrokerData[]> {
    const { brokers, leftOut } = await this.#nameServers.ask(
      getCluster,
      undefined,
      options,
      readClusterInfo,
    );
    this.#reportLeftOut(leftOut);
    this.#brokers.learn(brokers);
    return brokers;
  }

  #reportLeftOut(leftOut: ClusterInfo['leftOut']): void {
    for (const { broker, reason } of leftOut) {
      if (this.#reported.has(broker) || this.#reported.size === MAX_REPORTED) continue;
      this.#reported.add(broker);
      this.#logger?.warn(
        { code: 'ROCKETMQ_ROUTE_REFUSED', broker, reason },
        'broker left out of the cluster info',
      );
    }
  }

  /** MQVersion of the broker's master, as far as it has answered yet. */
  versionOf(brokerName: string): number | undefined {
    return this.#versions.get(brokerName);
  }

  /** @throws ConnectionError, RequestTimeoutError, TopicNotFoundError, BrokerError and its kin, or the signal's reason */
  async call<Request, Answer>(
    target: CallTarget,
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    rules: CallRules,
  ): Promise<RemotingCommand> {
    const deadline = this.#now() + (rules.timeoutMs ?? CALL_TIMEOUT_MS);
    const left = (): CallOptions => ({
      timeoutMs: Math.max(1, deadline - this.#now()),
      ...(rules.signal === undefined ? {} : { signal: rules.signal }),
    });
    const { reserve } = rules;
    let outcome = await this.#attempt(target, definition, request, { ...left(), reserve });
    if (deadline > this.#now()) {
      const next = await this.#nextTarget(target, outcome, rules, left());
      if (next !== undefined)
        outcome = await this.#attempt(next, definition, request, { ...left(), reserve });
    }
    if (outcome.kind === 'unreachable') throw outcome.error;
    const { answer, announced } = outcome;
    if ((rules.accepted ?? SUCCESS_ONLY).includes(answer.code)) return answer;
    if (answer.code === ResponseCode.TOPIC_NOT_EXIST && target.topic !== undefined)
      throw new TopicNotFoundError(target.topic, [announced]);
    // Up to 5.3.1 brokers answer a queue id that is gone with SYSTEM_ERROR: who asks for the route next should get a new one.
    if (answer.code === ResponseCode.SYSTEM_ERROR && target.topic !== undefined)
      this.#nameServers.forget(target.topic);
    throw brokerError(definition.name, announced, answer);
  }

  async #attempt<Request, Answer>(
    target: CallTarget,
    definition: RequestDefinition<Request, Answer>,
    request: Request,
    options: CallOptions & Pick<CallRules, 'reserve'>,
  ): Promise<Outcome> {
    if (this.#announced(target) === undefined) await this.#learn(target, options);
    const announced = this.#announced(target);
    if (announced === undefined) {
      const missing = target.brokerId ? `address of id ${target.brokerId}` : 'master';
      const message = `broker ${target.brokerName} has no ${missing} in the route: it may be down`;
      return {
        kind: 'unreachable',
        announced,
        sent: false,
        error: new ConnectionError(target.brokerName, message, { maybeSent: false }),
      };
    }
    try {
      const { timeoutMs = CALL_TIMEOUT_MS, signal, reserve } = options;
      const answer = await this.#exchange(this.#brokers.reachable(announced), definition, request, {
        timeoutMs,
        signal,
        reserve,
      });
      if ((target.brokerId ?? MASTER_ID) === MASTER_ID)
        this.#versions.set(target.brokerName, answer.version);
      return { kind: 'answered', announced, answer };
    } catch (cause) {
      if (cause instanceof ConfigError)
        return {
          kind: 'unreachable',
          announced,
          sent: false,
          error: noAddress(target, announced, cause),
        };
      if (cause instanceof AddressRefusedError)
        return {
          kind: 'unreachable',
          announced,
          sent: false,
          error: refusedAddress(target, announced, cause),
        };
      if (!(cause instanceof ConnectionError)) throw cause;
      const sent = !(cause instanceof NotConnectedError);
      const error = new ConnectionError(
        cause.address,
        cause.message + this.#brokers.advice(announced),
        { cause, maybeSent: sent },
      );
      return { kind: 'unreachable', announced, sent, error };
    }
  }

  /** Reads the route again when the outcome asks for it. Undefined: the outcome stands. */
  async #nextTarget(
    target: CallTarget,
    outcome: Outcome,
    rules: CallRules,
    options: CallOptions,
  ): Promise<CallTarget | undefined> {
    if (outcome.kind === 'answered') {
      const { code } = outcome.answer;
      if (
        (rules.accepted ?? SUCCESS_ONLY).includes(code) ||
        responseBehaviour(code).refreshRoute !== true
      )
        return undefined;
      try {
        await this.#learn(target, { ...options, fresh: true });
        return target;
      } catch (error) {
        if (error instanceof TopicNotFoundError || error instanceof RouteRefusedError) throw error;
        return undefined;
      }
    }
    if (outcome.sent && rules.repeatable !== true) return undefined;
    // A broker that restarts takes its topics out of the routes for a while: that it cannot be reached is the better news then.
    await this.#learn(target, { ...options, fresh: true }).catch((error: unknown) => {
      if (error instanceof RouteRefusedError) throw error;
    });
    const next = target.orAny === true ? { ...target, brokerId: MASTER_ID } : target;
    return outcome.sent || this.#announced(next) !== outcome.announced ? next : undefined;
  }

  async #learn({ topic }: CallTarget, options: CallOptions & { fresh?: boolean }): Promise<void> {
    if (topic === undefined) await this.cluster(options);
    else await this.route(topic, options);
  }

  #announced({ brokerName, brokerId = MASTER_ID, orAny = false }: CallTarget): string | undefined {
    return this.#brokers.announced(brokerName, brokerId, orAny);
  }
}

function refusedAddress(
  { brokerName, topic }: CallTarget,
  announced: string,
  cause: AddressRefusedError,
): ConnectionError {
  const source = `, which broker ${brokerName} has in ${sourceOf(topic)}`;
  return new AddressRefusedError(announced, cause.reason, source, { cause });
}

function sourceOf(topic: string | undefined): string {
  return topic === undefined ? 'the cluster info' : `the route of topic "${topic}"`;
}

/** The address stands in no configuration of ours: whoever reads the error has to know where it came from. */
function noAddress(
  { brokerName, topic }: CallTarget,
  announced: string,
  cause: ConfigError,
): ConnectionError {
  const source = sourceOf(topic);
  return new ConnectionError(
    announced,
    `broker ${brokerName} announces itself as "${announced}" in ${source}, which is not a valid address: correct brokerIP1 of the broker, or translate the address with addressMap`,
    { cause },
  );
}
