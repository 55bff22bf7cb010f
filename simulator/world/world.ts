import { DLQ_TOPIC_PREFIX, retryTopic } from '../../src/model/message-queue.ts';
import type { ServiceConfig, SourceConfig } from '../../src/model/source.ts';
import { Property } from '../../src/records/properties.ts';
import type { RemotingCommand } from '../../src/remoting/command.ts';
import { RequestCode } from '../../src/remoting/request-code.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { pullMessage } from '../../src/requests/pull-message.ts';
import { sendMessageBack } from '../../src/requests/send-back.ts';
import { updateConsumerOffset } from '../../src/requests/update-offset.ts';
import { WITHOUT_TENANT } from '../../src/store/tenant.ts';
import type { Answer } from '../../src/testing/broker/answer.ts';
import { CHECKS } from '../checks/index.ts';
import { currentHost, enterWorld, runAs } from '../kernel/globals.ts';
import { createRandom, type Random } from '../kernel/random.ts';
import { createHost, type Host, Scheduler } from '../kernel/scheduler.ts';
import { endOf, filtersOf, isWanted, type Plan } from '../plan.ts';
import { type Brokers, createBrokers, NAME_SERVER } from './brokers.ts';
import { Destinations } from './destinations.ts';
import type { Disturbance, Disturbed } from './disturbance.ts';
import { describe, type Position, type WorldEvent } from './events.ts';
import type { Item } from './expressions.ts';
import { CountedFaults } from './faults.ts';
import { type HandlerScript, Handlers } from './handlers.ts';
import { JavaMember } from './java-member.ts';
import { Lambda } from './lambda.ts';
import { Ledger } from './ledger.ts';
import { Network } from './network.ts';
import { placesOfPopped } from './pop.ts';
import { type Process, Processes } from './processes.ts';
import { Program } from './programs.ts';
import type { Stage } from './stage.ts';
import { SECOND_STAGE } from './stage.ts';
import { Table } from './table.ts';
import { carryOut } from './timed-faults.ts';
import { Trace } from './trace.ts';

export interface Violation {
  readonly check: string;
  readonly text: string;
  /** ms after the start. */
  readonly at: number;
}

export interface RunResult {
  readonly violations: readonly Violation[];
  /** The same for two runs of one plan. */
  readonly digest: string;
  readonly events: number;
  readonly virtualMs: number;
  /** Handler calls with messages that had not failed before. */
  readonly firstCalls: { readonly calls: number; readonly messages: number };
  readonly trace: Trace;
}

const START = Date.UTC(2026, 0, 1);
const SCHEDULE_MS = 60_000;
const PROGRAM_RESTART_MS = 3_000;
const LOOK_MS = 500;
/** How long the world goes on when everything has its end: what comes then is a repetition. */
const AFTERWARDS_MS = 8_000;
/** A run with more violations, or with many times the events of any sound run, goes nowhere. */
const MAX_VIOLATIONS = 5;
const MAX_EVENTS = 300_000;

export const GROUP = 'workers';

/** The service's table and functions in one stage. */
interface Deployment {
  readonly table: Table;
  readonly lambda: Lambda;
  readonly processes: Processes;
  /** Does the schedule start coordinators? */
  isScheduled: boolean;
}

/** Runs a plan from beginning to end. One at a time in a thread. */
export async function runPlan(plan: Plan): Promise<RunResult> {
  const run = new Run(plan);
  try {
    return await run.run();
  } finally {
    enterWorld(undefined);
  }
}

class Run {
  readonly #plan: Plan;
  readonly #trace = new Trace(START);
  readonly #ledger: Ledger;
  readonly #violations: Violation[] = [];
  readonly #scheduler = new Scheduler(START, runAs);
  readonly #world = createHost('world');
  readonly #faultTimes: number[] = [];
  readonly #disturbances: Disturbance[] = [];
  readonly #cutFromTable = new Set<Host>();
  readonly #checks;
  readonly #network: Network;
  readonly #brokers: Brokers;
  readonly #handlers: Handlers;
  readonly #random: Random;
  readonly #first: Deployment;
  readonly #second: Deployment | undefined;
  readonly #faults: CountedFaults;
  #source: SourceConfig;
  #javaMembers = 0;
  readonly #firstCalls = { calls: 0, messages: 0 };
  /** By their numbers; they are started again when they end. */
  readonly #programs = new Map<number, Program>();
  readonly #numberOf = new Map<Host, number>();
  #lastEvent: number;
  /** Of the plan. Deaths that messages cause are part of what is left to do (drain-bound). */
  #lastFault = START;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#source = plan.source;
    const filters = filtersOf(plan);
    this.#ledger = new Ledger(
      (puller) => this.#sourceOf(puller)?.subscriptions[0]?.order?.by,
      this.#isBroadcast,
      new Set(
        plan.messages
          .filter(({ tag }) => !filters.every((filter) => isWanted(filter, tag)))
          .map(({ number }) => number),
      ),
    );
    const random = createRandom(plan.seed, plan.scenario);
    const scheduler = this.#scheduler;
    enterWorld({
      scheduler,
      random: random.fork('product'),
      connect: (host, endpoint) => this.#network.connect(host, endpoint),
      onListeners: (by, count) => this.#emit({ kind: 'listeners', by, count }),
    });
    this.#faults = new CountedFaults(
      plan,
      (...fault) => this.#fault(...fault),
      (host) => {
        for (const { processes } of this.#deployments) processes.kill(host);
      },
    );
    this.#network = new Network(scheduler, random.fork('network'), {
      fateOf: (command, client, server) =>
        this.#isProduct(client) && server !== this.#brokers.nameServer
          ? this.#faults.ofRequest(command.code, client)
          : { kind: 'carried-out' },
      losesAnswer: (request, client) => this.#faults.losesAnswer(request, client),
      onAnswer: (request, answer, client, server) =>
        this.#answered(request, answer, client, server.host.name),
      onSend: (command, client, server) => this.#sent(command, client, server.host.name),
    });
    this.#checks = CHECKS.map((definition) => ({
      definition,
      check: definition.create({
        plan,
        ledger: this.#ledger,
        scheduler,
        faultTimes: this.#faultTimes,
        disturbances: this.#disturbances,
        delays: this.#network.delays,
        sourceOf: (puller) => this.#sourceOf(puller) ?? plan.source,
        pending: () => this.#pending(),
      }),
    }));
    this.#brokers = runAs(this.#world, () =>
      createBrokers(plan.brokers, scheduler, this.#network, {
        stored: (brokerName, message) => {
          const event = this.#ledger.stored(brokerName, message);
          if (event !== undefined) this.#emit(event);
        },
        popped: {
          lent: (key, until) => {
            const position = this.#ledger.positions.get(key);
            if (position !== undefined) position.lentUntil = until;
          },
          acknowledged: (key) => {
            const position = this.#ledger.positions.get(key);
            if (position === undefined) return;
            position.acknowledged = true;
            this.#emit({ kind: 'acknowledged', position });
          },
        },
        committed: (brokerName, group, topic, queueId, offset) => {
          if (group !== GROUP || this.#isBroadcast) return;
          const queue = `${topic}/${brokerName}/${queueId}`;
          this.#ledger.committed.set(queue, offset);
          this.#emit({ kind: 'committed', queue, offset });
        },
      }),
    );
    this.#handlers = new Handlers(plan, this.#ledger, random.fork('handlers'), START);
    this.#random = random;
    this.#first = this.#deploy('dev', '');
    if (plan.faults.some(({ kind }) => kind === 'second-deployment'))
      this.#second = this.#deploy('prod', SECOND_STAGE);
    this.#lastEvent =
      START + Math.max(0, ...plan.messages.map(({ at }) => at), ...plan.faults.map(endOf));
  }

  /** A stage of the service: its table and its functions. @param prefix of its processes' names */
  #deploy(stage: string, prefix: string): Deployment {
    const plan = this.#plan;
    const scheduler = this.#scheduler;
    const handlers = this.#handlers;
    const random = stage === 'dev' ? this.#random : this.#random.fork(stage);
    const table = new Table(scheduler, random.fork('table'), {
      fateOf: (_command, client) =>
        this.#cutFromTable.has(client)
          ? 'lost'
          : this.#isProduct(client)
            ? this.#faults.ofTableRequest(client)
            : 'carried-out',
      written: (before, after) => this.#written(before, after),
    });
    const calls = this.#calls();
    const lambda: Lambda = new Lambda(
      scheduler,
      random.fork('lambda'),
      this.#faults,
      handlers,
      () => this.#source.subscriptions[0]!.handler.timeout * 1000,
      { startPuller: (request) => processes.startPuller(request), ...calls },
    );
    const processes = new Processes({
      scheduler,
      prefix,
      random: random.fork('processes'),
      network: this.#network,
      table,
      keys: () =>
        scheduler.now < START + (plan.upgradeAt ?? 0) ? WITHOUT_TENANT : { service: 'shop', stage },
      destinations: new Destinations(scheduler, random.fork('destinations'), {
        fateOf: (host) => this.#faults.ofDestinationRequest(host),
        stored: ({ payload }) => {
          const number = this.#ledger.gaveUp(payload.Records[0].receiptHandle, scheduler.now);
          if (number !== undefined) this.#emit({ kind: 'given-to-destination', number });
        },
      }),
      lambda: () => lambda,
      handlers,
      service: () => this.#service(stage),
      pullerTimeoutMs: plan.pullerTimeoutMs,
      memoryBytes: plan.memoryBytes,
      options: plan.options ?? {},
      maxSkewMs: plan.maxSkewMs,
      log: (host, level, message, fields) =>
        this.#trace.add(scheduler.now, host.name, `${level}: ${message}`, fields),
      ended: (process, how, leftovers) => {
        // A deadline or a handler that ended its process disturbs as a planned fault does.
        if (how === 'killed' || how === 'timed out') {
          this.#faultTimes.push(scheduler.now);
          this.#disturbed({ kind: 'process', host: process.host }, 0);
        }
        this.#emit({ kind: 'ended', host: process.host, how, leftovers });
        const number = this.#numberOf.get(process.host);
        if (number !== undefined)
          this.#at(this.#random.int(100, PROGRAM_RESTART_MS), () => this.#startProgram(number));
      },
      ...calls,
    });
    return { table, lambda, processes, isScheduled: stage === 'dev' };
  }

  #calls() {
    return {
      deliveryStarted: (script: HandlerScript) => {
        this.#ledger.started(script.deliveries);
        this.#emit({ kind: 'delivery-started', deliveries: script.deliveries });
      },
      deliveryEnded: (script: HandlerScript) => {
        this.#ledger.ended(script.deliveries, this.#scheduler.now);
        this.#emit({ kind: 'delivery-ended', deliveries: script.deliveries });
      },
      // The message's next delivery decides about it: this one counts neither as handled nor as failed.
      deliveryCut: (script: HandlerScript) => {
        for (const delivery of script.deliveries)
          Object.assign(delivery, { outcome: 'none', endedAt: this.#scheduler.now });
        this.#emit({ kind: 'delivery-ended', deliveries: script.deliveries });
      },
    };
  }

  get #deployments(): readonly Deployment[] {
    return this.#second === undefined ? [this.#first] : [this.#first, this.#second];
  }

  #processOf(host: Host): Process | undefined {
    return this.#first.processes.running.get(host) ?? this.#second?.processes.running.get(host);
  }

  #sourceOf(host: Host): SourceConfig | undefined {
    return this.#first.processes.sourceOf.get(host) ?? this.#second?.processes.sourceOf.get(host);
  }

  async run(): Promise<RunResult> {
    const { brokers, topics, messages, faults } = this.#plan;
    const stage = this.#stage();
    this.#brokers.createGroup(GROUP);
    this.#brokers.createTopic(retryTopic(GROUP), 1);
    for (const { name, queues } of topics) this.#brokers.createTopic(name, queues, brokers);
    for (const message of messages) this.#at(message.at, () => this.#produce(message));
    for (const fault of faults) if ('at' in fault) this.#at(fault.at, () => carryOut(fault, stage));
    const schedule = (): void => {
      for (const { isScheduled, processes } of this.#deployments)
        if (isScheduled) processes.startCoordinator();
      this.#at(SCHEDULE_MS, schedule);
    };
    const { programs } = this.#plan;
    if (programs === undefined) this.#at(0, schedule);
    for (let number = 0; number < (programs?.processes ?? 0); number++)
      this.#at(number, () => this.#startProgram(number));
    const onRejection = (reason: unknown): void =>
      this.#emit({
        kind: 'unhandled-rejection',
        by: currentHost(),
        text: reason instanceof Error ? `${reason.stack}` : String(reason),
      });
    process.on('unhandledRejection', onRejection);
    try {
      await this.#untilDrained();
    } finally {
      process.off('unhandledRejection', onRejection);
    }
    for (const { definition, check } of this.#checks)
      for (const text of check.atEnd?.() ?? []) this.#violated(definition.name, text);
    return {
      violations: this.#violations,
      digest: this.#trace.digest,
      events: this.#scheduler.events,
      virtualMs: this.#scheduler.now - START,
      firstCalls: this.#firstCalls,
      trace: this.#trace,
    };
  }

  async #untilDrained(): Promise<void> {
    let drainedAt: number | undefined;
    let over = false;
    const look = (): void => {
      const now = this.#scheduler.now;
      const isDrained = now > this.#lastEvent && this.#pending().length === 0;
      drainedAt = isDrained ? (drainedAt ?? now) : undefined;
      const until = Math.max(this.#lastEvent, this.#lastFault) + this.#plan.drainMs;
      over = now > until || (drainedAt !== undefined && now - drainedAt >= AFTERWARDS_MS);
      if (!over) this.#at(LOOK_MS, look);
    };
    this.#at(0, look);
    await this.#scheduler.run(
      () =>
        over || this.#violations.length >= MAX_VIOLATIONS || this.#scheduler.events > MAX_EVENTS,
    );
  }

  #at(ms: number, run: () => void): void {
    this.#scheduler.schedule(ms, this.#world, run);
  }

  get #isBroadcast(): boolean {
    return this.#plan.source.messageModel === 'BROADCASTING';
  }

  #service(stage: string): ServiceConfig {
    return {
      service: 'shop',
      stage,
      clusters: { default: { nameServers: [NAME_SERVER] } },
      sources: [this.#source],
    };
  }

  #isProduct(host: Host): boolean {
    return this.#processOf(host) !== undefined;
  }

  #emit(event: WorldEvent): void {
    if (event.kind === 'delivery-started' && event.deliveries[0]?.position.reconsumeTimes === 0) {
      this.#firstCalls.calls++;
      this.#firstCalls.messages += event.deliveries.length;
    }
    this.#trace.add(this.#scheduler.now, '*', describe(event));
    for (const { definition, check } of this.#checks) {
      const text = check.on?.(event);
      if (text !== undefined) this.#violated(definition.name, text);
    }
  }

  #violated(check: string, text: string): void {
    const at = this.#scheduler.now;
    this.#trace.add(at, '*', `VIOLATION of ${check}: ${text}`);
    this.#violations.push({ check, text, at: at - START });
  }

  #disturbed(of: Disturbed, ms: number): void {
    const from = this.#scheduler.now;
    this.#disturbances.push({ of, from, until: from + ms });
  }

  #fault(text: string, disturbed?: Disturbed, ms = 0): void {
    this.#lastFault = this.#scheduler.now;
    this.#faultTimes.push(this.#scheduler.now);
    if (disturbed !== undefined) this.#disturbed(disturbed, ms);
    this.#emit({ kind: 'fault', text });
  }

  #produce(message: Plan['messages'][number]): void {
    const { topic, brokerName, queueId, number, key, tag, copyOf = number } = message;
    const broker = this.#brokers.named(brokerName);
    const { writeQueueNums = 0 } = broker.broker.state.topics.get(topic) ?? {};
    const stored =
      queueId < writeQueueNums &&
      broker.produce({
        topic,
        queueId,
        bornTimestamp: this.#scheduler.now - this.#plan.bornEarlierMs,
        body: Buffer.from(
          JSON.stringify({ n: number, k: key, padding: 'x'.repeat(this.#plan.bodyBytes) }),
        ),
        properties: new Map([
          [Property.UNIQ_KEY, `7F000001${String(copyOf).padStart(24, '0')}`],
          [Property.TAGS, tag],
          [Property.SHARDING_KEY, key],
          ['WAIT', 'true'],
        ]),
      });
    // A producer whose broker is away tries again.
    if (!stored) this.#at(1_000, () => this.#produce(message));
    else this.#lastEvent = Math.max(this.#lastEvent, this.#scheduler.now);
  }

  /** A request as its client sends it: what it is about, and whether it is the client's last. */
  #sent(command: RemotingCommand, client: Host, brokerName: string): void {
    const process = this.#processOf(client);
    if (process === undefined) return;
    if (command.code === RequestCode.UPDATE_CONSUMER_OFFSET) {
      const { topic, queueId, commitOffset } = updateConsumerOffset.decode(command);
      const queue = `${topic}/${brokerName}/${queueId}`;
      // An operator's write: what it passes is skipped, whatever the command answers later. While a reset by
      // mqadmin waits for its pull, the broker drops it.
      const { offsets } = this.#brokers.named(brokerName).broker.state;
      if (process.kind === 'operator' && !offsets.hasReset(GROUP, topic, queueId))
        this.#skip(queue, commitOffset, false);
      if (process.kind === 'puller')
        this.#emit({ kind: 'commit-sent', by: client, queue, offset: commitOffset });
    } else if (command.code === RequestCode.CONSUMER_SEND_MSG_BACK && process.kind === 'puller') {
      const { offset } = sendMessageBack.decode(command);
      const position = this.#ledger.atPhysicalOffset(brokerName, offset);
      if (position !== undefined) this.#emit({ kind: 'send-back-sent', by: client, position });
    }
    if (process.kind !== 'operator')
      this.#faults.beforeSend(client, process.kind, process.invocation);
  }

  /** What a pull or a pop brings is in its puller's memory until it has its end. */
  #answered(request: RemotingCommand, answer: Answer, by: Host, brokerName: string): void {
    if (answer.code !== ResponseCode.SUCCESS || this.#processOf(by)?.kind !== 'puller') return;
    const positions = this.#handedOut(request, answer, brokerName);
    if (positions.length > 0) this.#emit({ kind: 'received', by, positions });
  }

  #handedOut(request: RemotingCommand, answer: Answer, brokerName: string): Position[] {
    if (request.code === RequestCode.POP_MESSAGE)
      return placesOfPopped(request, answer).flatMap((place) => {
        const [topic, queueId, offset] = place.split('/');
        return this.#ledger.positions.get(`${topic}/${brokerName}/${queueId}/${offset}`) ?? [];
      });
    if (request.code !== RequestCode.PULL_MESSAGE) return [];
    const { topic, queueId, queueOffset } = pullMessage.decode(request);
    const next = BigInt(answer.extFields?.nextBeginOffset ?? 0);
    return (this.#ledger.queues.get(`${topic}/${brokerName}/${queueId}`) ?? []).filter(
      ({ offset }) => offset >= queueOffset && offset < next,
    );
  }

  #written(before: Item | undefined, after: Item): void {
    const to = after.committedOffset?.N;
    if (this.#isBroadcast && to !== undefined && to !== before?.committedOffset?.N) {
      const queue = `${after.topic?.S}/${after.brokerName?.S}/${after.queueId?.N}`;
      this.#ledger.committed.set(queue, BigInt(to));
      this.#emit({ kind: 'committed', queue, offset: BigInt(to) });
    }
    if (after.holder?.S === undefined || after.topic?.S === undefined) return;
    const queue = `${after.topic.S}/${after.brokerName?.S}/${after.queueId?.N}`;
    const offsets = [after.committedOffset?.N, after.settledOffset?.N].map((text) =>
      BigInt(text ?? 0),
    );
    this.#ledger.inTable.set(
      queue,
      offsets.reduce((a, b) => (a > b ? a : b)),
    );
    const holder = after.holder.S;
    // A take-over copies the lease of a dead holder to its new key.
    if (before === undefined) return;
    if (before?.fence?.N !== after.fence?.N)
      this.#emit({ kind: 'acquired', queue, holder, fence: Number(after.fence?.N) });
    else if (before?.leaseUntil?.N !== undefined && before.leaseUntil.N !== after.leaseUntil?.N) {
      const [from, to] = [Number(before.leaseUntil.N), Number(after.leaseUntil?.N)];
      this.#emit({ kind: 'renewed', queue, holder, from, to });
    }
  }

  /** What has no end yet, one line each. */
  #pending(): string[] {
    const found: string[] = [];
    for (const message of this.#plan.messages) {
      const story = this.#ledger.stories.get(message.number);
      if (story === undefined) found.push(`message ${message.number} was not stored`);
      else if (!this.#ledger.hasEnded(story)) found.push(`message ${message.number} has no end`);
      if (found.length >= MAX_VIOLATIONS) return found;
    }
    for (const [queue, positions] of this.#ledger.queues) {
      if (queue.startsWith(DLQ_TOPIC_PREFIX)) continue;
      if (this.#plan.source.mode === 'pop' && !queue.startsWith(`${retryTopic(GROUP)}/`)) {
        const left = positions.filter(
          (position) => !position.acknowledged && !this.#ledger.hasCopy(position),
        );
        if (left.length > 0)
          found.push(`${queue} has ${left.length} messages that are not acknowledged`);
        continue;
      }
      const last = positions[positions.length - 1]!;
      const committed = this.#ledger.committed.get(queue) ?? 0n;
      if (committed <= last.offset)
        found.push(`${queue} is committed at ${committed}, and its end is ${last.offset + 1n}`);
    }
    return found;
  }

  #stage(): Stage {
    return {
      plan: this.#plan,
      scheduler: this.#scheduler,
      network: this.#network,
      brokers: this.#brokers,
      ...this.#first,
      note: (...fault) => this.#fault(...fault),
      at: (ms, run) => this.#at(ms, run),
      committed: (queue) => this.#ledger.committed.get(queue) ?? 0n,
      skipped: (queue, to, done) => this.#skip(queue, to, done),
      topicDeleted: (topic) => this.#ledger.topicDeleted(topic, this.#scheduler.now),
      paused: (until) => this.#emit({ kind: 'paused', until }),
      loseNextPull: (topic, queueId) => this.#faults.loseNextPull(topic, queueId),
      failSends: (fate) => this.#faults.failSends(fate),
      cutFromTable: (host, isCut) => {
        if (isCut) this.#cutFromTable.add(host);
        else this.#cutFromTable.delete(host);
      },
      startJavaMember: () => this.#startJavaMember(),
      setSecondDeployment: (isOn) => {
        if (this.#second === undefined) return;
        this.#second.isScheduled = isOn;
        if (isOn) this.#second.processes.startCoordinator();
      },
      setSchedule: (isOn) => {
        this.#first.isScheduled = isOn;
      },
      endProgram: (which, how) => {
        const program = this.#programs.get(which % Math.max(1, this.#programs.size));
        // As an event of its own process: one that is frozen ends later.
        if (program !== undefined)
          this.#scheduler.schedule(0, program.host, () => program.end(how));
      },
      log: (text, fields) => this.#trace.add(this.#scheduler.now, 'operator', text, fields),
      deploy: (change) => {
        this.#source = change(this.#source);
      },
    };
  }

  #startProgram(number: number): void {
    const { programs } = this.#plan;
    if (programs === undefined) return;
    this.#first.processes.startProgram(async (host, logger) => {
      this.#numberOf.set(host, number);
      const program = new Program(number, host, logger, {
        plan: this.#plan,
        programs,
        scheduler: this.#scheduler,
        handlers: this.#handlers,
        group: GROUP,
        ...this.#calls(),
        leftInHand: (key) => this.#disturbed({ kind: 'message', key }, 0),
        loopFailed: (by, error) =>
          this.#emit({
            kind: 'loop-failed',
            by,
            text: error instanceof Error ? `${error.stack}` : String(error),
          }),
      });
      this.#programs.set(number, program);
      await program.run();
    });
  }

  #startJavaMember(): (dies: boolean) => void {
    const { subscriptions } = this.#plan.source;
    const member = new JavaMember(++this.#javaMembers, {
      scheduler: this.#scheduler,
      network: this.#network,
      handlers: this.#handlers,
      group: GROUP,
      topic: this.#plan.topics[0]!.name,
      maxReconsumeTimes: subscriptions[0]!.maximumRetryAttempts,
      ...this.#calls(),
    });
    member.start();
    return (dies) => member.end(dies);
  }

  #skip(queue: string, to: bigint, done: boolean): void {
    const before = this.#ledger.skipped.get(queue)?.to ?? 0n;
    if (to > before) this.#ledger.skipped.set(queue, { to, at: this.#scheduler.now });
    this.#emit({ kind: 'skipped', queue, to, done });
  }
}
