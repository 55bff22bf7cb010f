import { PullConsumer } from '../../src/consumer/pull-consumer.ts';
import { ConnectionError } from '../../src/errors.ts';
import type { RocketMQEvent, RocketMQRecord } from '../../src/model/event.ts';
import type { Message } from '../../src/model/message.ts';
import { type MessageQueue, queueKey, retryTopic } from '../../src/model/message-queue.ts';
import type { Logger } from '../../src/ports/logger.ts';
import type { Host, Scheduler } from '../kernel/scheduler.ts';
import type { Fault, Plan } from '../plan.ts';
import { NAME_SERVER } from './brokers.ts';
import type { HandlerScript, Handlers } from './handlers.ts';

const AGAIN_MS = 500;
const ROUTE_INTERVAL_MS = 5_000;
const COMMIT_INTERVAL_MS = 800;
const DELAY_LEVEL = 2;

export type EndOfProgram = Extract<Fault, { readonly kind: 'program-ends' }>['how'];

interface ProgramDeps {
  readonly plan: Plan;
  readonly programs: NonNullable<Plan['programs']>;
  readonly scheduler: Scheduler;
  readonly handlers: Handlers;
  readonly group: string;
  readonly deliveryStarted: (script: HandlerScript) => void;
  readonly deliveryEnded: (script: HandlerScript) => void;
  /** A loop had the message in hand when its consumer was closed: it does not count as passed. */
  readonly leftInHand: (position: string) => void;
  /** A loop threw, though nothing ended it. */
  readonly loopFailed: (by: Host, error: unknown) => void;
}

/** A user's program: its PullConsumers, each with a loop over its share of the queues. */
export class Program {
  readonly host: Host;
  readonly #deps: ProgramDeps;
  readonly #members: readonly Member[];

  /** @param number of the program among the plan's, from 0 */
  constructor(number: number, host: Host, logger: Logger, deps: ProgramDeps) {
    this.#deps = deps;
    this.host = host;
    const { consumers } = deps.programs;
    this.#members = Array.from(
      { length: consumers },
      (_, index) => new Member(number * consumers + index, host, logger, deps),
    );
  }

  /** Settles when every loop has ended and every consumer is closed. */
  async run(): Promise<void> {
    await Promise.all(
      this.#members.map((member) =>
        member.run().catch((error: unknown) => this.#deps.loopFailed(this.host, error)),
      ),
    );
  }

  end(how: EndOfProgram): void {
    for (const member of this.#members) member.end(how);
  }
}

class Member {
  readonly #number: number;
  readonly #host: Host;
  readonly #deps: ProgramDeps;
  readonly #consumer: PullConsumer;
  #loop = new AbortController();
  #leavesLoop = false;
  #ending: 'exit' | 'close' | undefined;
  #closed: Promise<void> | undefined;

  constructor(number: number, host: Host, logger: Logger, deps: ProgramDeps) {
    this.#number = number;
    this.#host = host;
    this.#deps = deps;
    this.#consumer = new PullConsumer({
      consumerGroup: deps.group,
      nameServers: NAME_SERVER,
      logger,
      maxCachedBytes: deps.programs.maxCachedBytes,
    });
  }

  async run(): Promise<void> {
    const commits = this.#keepCommitted();
    try {
      while (this.#ending === undefined) {
        this.#loop = new AbortController();
        await this.#read();
      }
    } finally {
      this.#ending ??= 'exit';
      await commits;
      await (this.#closed ?? this.#consumer.close());
    }
  }

  end(how: EndOfProgram): void {
    switch (how) {
      case 'loop-left':
        this.#leavesLoop = true;
        return;
      case 'loop-aborted':
        this.#loop.abort();
        return;
      case 'exit':
        this.#ending ??= 'exit';
        this.#loop.abort();
        return;
      case 'close':
        this.#ending = 'close';
        this.#closed ??= this.#consumer.close();
        // Awaited at the end of `run`.
        this.#closed.catch(() => {});
    }
  }

  async #read(): Promise<void> {
    const { commits } = this.#deps.programs;
    const messages = this.#consumer.messages(this.#targets(), {
      signal: this.#loop.signal,
      routeIntervalMs: ROUTE_INTERVAL_MS,
      ...(commits === 'interval' && { commitIntervalMs: COMMIT_INTERVAL_MS }),
    });
    try {
      for await (const message of messages) {
        if (this.#leavesLoop) break;
        await this.#handle(message);
        if (this.#ending === 'close') this.#leftInHand(message);
        else if (commits === 'by-hand') await this.#commit(message);
      }
    } catch (error) {
      // The program ends, and a message that was not sent back stays in hand.
      if (this.#ending !== undefined) return;
      // A loop cannot begin without routes.
      const isAway = this.#deps.plan.faults.some(({ kind }) => kind === 'name-server-away');
      if (!(error instanceof ConnectionError && isAway)) throw error;
      await sleep(AGAIN_MS);
    }
    this.#leavesLoop = false;
  }

  /** The whole topic, or a share of its queues; the first consumer reads the redeliveries, too. */
  #targets(): (string | MessageQueue)[] {
    const { plan, programs, group } = this.#deps;
    const [{ name: topic, queues }] = plan.topics as [Plan['topics'][number]];
    const members = programs.processes * programs.consumers;
    const isOnly = members === 1;
    const share = plan.brokers
      .flatMap((brokerName) =>
        Array.from({ length: queues }, (_, queueId) => ({ topic, brokerName, queueId })),
      )
      .filter((_, index) => index % members === this.#number);
    return [...(isOnly ? [topic] : share), ...(this.#number === 0 ? [retryTopic(group)] : [])];
  }

  async #handle(message: Message): Promise<void> {
    const { handlers, scheduler } = this.#deps;
    const record = {
      messageId: message.msgId,
      receiptHandle: `${queueKey(queueOf(message))}/${message.queueOffset}`,
      body: message.body.toString(),
      rocketmq: { reconsumeTimes: message.reconsumeTimes },
    } as RocketMQRecord;
    const event = { Records: [record] } as RocketMQEvent;
    const script = handlers.script(event, this.#host, scheduler.now);
    this.#deps.deliveryStarted(script);
    await sleep(script.durationMs);
    this.#deps.deliveryEnded(script);
    const [delivery] = script.deliveries;
    if (delivery?.outcome !== 'ok' && delivery?.outcome !== 'dropped')
      await this.#untilDone(() =>
        this.#consumer.sendBack(message, {
          delayLevel: DELAY_LEVEL,
          maxReconsumeTimes: this.#deps.plan.source.subscriptions[0]!.maximumRetryAttempts,
        }),
      );
  }

  /** What its broker forgot after a commit by hand. */
  async #keepCommitted(): Promise<void> {
    if (this.#deps.programs.commits !== 'by-hand') return;
    while (this.#ending === undefined) {
      await sleep(COMMIT_INTERVAL_MS);
      if (this.#ending === undefined) await this.#consumer.commit().catch(() => {});
    }
  }

  async #commit(message: Message): Promise<void> {
    try {
      await this.#untilDone(() =>
        this.#consumer.commit(queueOf(message), message.queueOffset + 1n),
      );
    } catch (error) {
      this.#leftInHand(message);
      // The operator's offset counts.
      if (!isReset(error)) throw error;
    }
  }

  #leftInHand(message: Message): void {
    this.#deps.leftInHand(`${queueKey(queueOf(message))}/${message.queueOffset}`);
  }

  /** What a broker does not take is given again, until the program ends. */
  async #untilDone(attempt: () => Promise<void>): Promise<void> {
    for (;;)
      try {
        return await attempt();
      } catch (error) {
        // A message that was not sent back is not passed: the loop is left with it in hand.
        if (this.#ending !== undefined || isReset(error)) throw error;
        await sleep(AGAIN_MS);
      }
  }
}

function isReset(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ROCKETMQ_RESET_PENDING';
}

function queueOf({ topic, brokerName, queueId }: Message): MessageQueue {
  return { topic, brokerName, queueId };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
