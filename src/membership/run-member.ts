import { checkGroup, type GroupCheck } from '../coordinator/check-group.ts';
import { beginGroupRun, type GroupRun } from '../coordinator/group-run.ts';
import { keepPauses } from '../coordinator/keep-pauses.ts';
import { createPace } from '../coordinator/paced.ts';
import { type Routes, readRoutes } from '../coordinator/read-routes.ts';
import { storeAssignments } from '../coordinator/store-assignments.ts';
import { oursSince, SETTLE_MS } from '../decide/allocation/settled.ts';
import { workTime } from '../decide/budget/time-budget.ts';
import { type Assignment, placeKey } from '../model/assignment.ts';
import type { AssignedSlot, GroupMember, MemberInfo } from '../model/membership.ts';
import { queueKey, retryTopic } from '../model/message-queue.ts';
import { onAbort } from '../model/on-abort.ts';
import { findSource, type SourceConfig } from '../model/source.ts';
import { isTooLate, type PullerRequest } from '../ports/invoke.ts';
import type { MemberAnswers } from '../ports/rocketmq.ts';
import { deliverDirectly } from '../puller/deliver-directly.ts';
import {
  MOVED,
  type PullerDeps,
  type PullerOptions,
  type PullerReport,
  type StopReason,
} from '../puller/puller-deps.ts';
import { DEFAULT_OPTIONS } from '../puller/run-puller.ts';
import { buildSubscription } from '../records/subscription.ts';
import { allocationOf, ownersOf } from './allocate-among-members.ts';
import { MemberQueues } from './member-queues.ts';
import { Presence } from './presence.ts';
import { isRefused } from './refused-request.ts';
import { Seat } from './seat.ts';

/** Routes and members are looked at this often; a notice of a broker makes it at once. */
const LOOK_INTERVAL_MS = 5_000;
/** RebalanceService's interval: members, subscriptions and filters. */
const CHECK_INTERVAL_MS = 20_000;
/** How long the old member stays for its successor to join, so that the others never see the slot missing. */
const HANDOVER_MS = 10_000;
const HANDOVER_LOOK_MS = 100;

/**
 * One slot as a member of its group beside others, for as long as the invocation lives: it sits on the slot's seat, heartbeats, allocates over the
 * broker's member list as Java's clients do, and works the queues that it gets. Mirrors MQClientInstance with one DefaultMQPushConsumer.
 */
export async function runMember(request: PullerRequest, given: PullerDeps): Promise<PullerReport> {
  const { consumerGroup, slot } = request;
  const deps = {
    ...given,
    logger: given.logger.child({ consumerGroup, slot, holder: given.holder, member: true }),
  };
  const options = { ...DEFAULT_OPTIONS, ...given.options };
  const source = findSource(deps.service, request);
  const report = (reason: StopReason, queues: PullerReport['queues'] = []): PullerReport => {
    deps.logger.info({ reason }, 'member ends');
    const seat = {
      queue: placeKey({ slot }),
      reason,
      handled: 0,
      sentBack: 0,
      dropped: 0,
      committedOffset: undefined,
    };
    return { consumerGroup, queues: [seat, ...queues] };
  };
  if (isTooLate(request, deps.clock.now())) return report('too-late');
  if (source === undefined || isRefused(source, request, deps.logger))
    return report('unknown-source');
  const seat = await Seat.take(deps, options, source, slot);
  if (seat === undefined) return report('not-acquired');
  const member = new Member(deps, options, source, slot, seat);
  deps.client.answerBrokers(member);
  try {
    const reason = await member.stay();
    return report(reason, member.queues.reports);
  } finally {
    deps.client.answerBrokers(undefined);
  }
}

class Member implements MemberAnswers {
  readonly queues: MemberQueues;
  readonly #deps: PullerDeps;
  readonly #options: PullerOptions;
  readonly #slot: number;
  readonly #seat: Seat;
  readonly #run: GroupRun;
  readonly #member: GroupMember;
  readonly #presence: Presence;
  readonly #startedAt: number;
  readonly #end = new AbortController();
  #wake = new AbortController();
  #routes: Routes | undefined;
  #check: GroupCheck | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #renewedAt: number;
  #since: ReadonlyMap<string, number> = new Map();

  constructor(
    deps: PullerDeps,
    options: PullerOptions,
    source: SourceConfig,
    slot: number,
    seat: Seat,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#slot = slot;
    this.#seat = seat;
    this.#startedAt = deps.clock.now();
    this.#renewedAt = this.#startedAt;
    const { service, client, store, clock, logger, remainingMs } = deps;
    const invoker = {
      // The coordinator invokes; a function that invoked itself would run into Lambda's loop detection.
      invoke: () => Promise.reject(new Error('a member invokes nobody')),
    };
    const until = this.#startedAt + remainingMs();
    this.#run = beginGroupRun(
      source,
      { service, clients: () => client, store, invoker, clock, logger, remainingMs },
      createPace(),
      until,
      this.#end.signal,
    );
    this.#member = asMember(source, this.#run.clientId(slot), this.#startedAt);
    this.#presence = new Presence(this.#run, this.#member);
    this.queues = new MemberQueues(deps, { ...this.#run.group, slot });
  }

  /** Until the invocation nears its end, a successor waits, or the seat is paused or lost. */
  async stay(): Promise<StopReason> {
    const { signal, clock } = this.#deps;
    const unlink = onAbort(signal, () => this.#wake.abort());
    try {
      for (;;) {
        const reason = await this.#whyLeave();
        if (reason !== undefined) return await this.#leave(reason);
        this.#wake = new AbortController();
        if (signal?.aborted === true) this.#wake.abort();
        const pause = await this.#pass().catch((error: unknown) => {
          this.#run.problems.add(error);
          return LOOK_INTERVAL_MS;
        });
        if (pause === undefined) return await this.#leave('refused');
        await clock.sleep(pause, this.#wake.signal).catch(() => {});
      }
    } finally {
      unlink();
      this.#end.abort(new Error('the member has left'));
    }
  }

  idsChanged(consumerGroup: string): void {
    if (consumerGroup === this.#run.group.consumerGroup) this.#wake.abort();
  }

  info(consumerGroup: string): MemberInfo | undefined {
    const { source, clientId, group } = this.#run;
    if (consumerGroup !== group.consumerGroup) return undefined;
    const { service, stage, clusters } = this.#deps.service;
    return {
      startedAt: this.#startedAt,
      nameServers: clusters[source.cluster]?.nameServers ?? [],
      subscriptions: this.#member.subscriptions,
      queues: this.queues.figures(),
      notes: {
        product: 'serverless-rocketmq',
        service,
        stage,
        invocation: this.#deps.holder,
        clientId: clientId(this.#slot),
      },
    };
  }

  async consumeDirectly(
    ...[consumerGroup, message]: Parameters<MemberAnswers['consumeDirectly']>
  ): ReturnType<MemberAnswers['consumeDirectly']> {
    if (consumerGroup !== this.#run.group.consumerGroup) return undefined;
    return deliverDirectly(this.#deps, this.#run.source, message);
  }

  /** Each member resets what it has; the broker tells them all. */
  resetOffsets(...[consumerGroup, offsets]: Parameters<MemberAnswers['resetOffsets']>): void {
    if (consumerGroup !== this.#run.group.consumerGroup) return;
    for (const { queue, offset } of offsets)
      if (this.queues.reset(queue, offset))
        this.#deps.logger.warn(
          { queue: queueKey(queue), offset: String(offset) },
          'an operator resets the offset',
        );
  }

  async #whyLeave(): Promise<StopReason | undefined> {
    const { clock, signal, remainingMs } = this.#deps;
    if (signal?.aborted === true) return 'signal';
    if (workTime(remainingMs(), this.#options.reserveMs) <= 0) return 'deadline';
    if (!this.#seat.mayAct()) return 'lease-lost';
    if (clock.now() - this.#renewedAt < this.#options.renewIntervalMs) return undefined;
    this.#renewedAt = clock.now();
    switch (await this.#seat.renew()) {
      case 'kept':
        return undefined;
      case 'successor':
        return 'succession';
      case 'paused':
        return 'paused';
      case 'lost':
        return 'lease-lost';
    }
  }

  /** One pass of Java's RebalanceService. Answers when the next is due at the latest; undefined: we may not join. */
  async #pass(): Promise<number | undefined> {
    const { clock, store } = this.#deps;
    const now = clock.now();
    // A notice is about members: no time for the name servers then.
    if (this.#routes === undefined || now - this.#lookedAt >= LOOK_INTERVAL_MS) {
      this.#routes = await readRoutes(this.#run);
      this.#lookedAt = now;
    }
    const routes = this.#routes;
    if (this.#check === undefined || now - this.#checkedAt >= CHECK_INTERVAL_MS) {
      const joining = this.#check === undefined;
      this.#check = await checkGroup(this.#run, routes);
      this.#checkedAt = now;
      // Once joined we stay, or the group would change all the time; the problem is told.
      if (joining && this.#check.othersTopics) return undefined;
    }
    await this.#presence.beat(routes.brokerNames);
    const owners = ownersOf(this.#run, routes, await this.#presence.membersByTopic(routes.queues));
    // What is another's is left before anything else is done: it begins at once.
    this.queues.keepOnly(
      ({ topic, ...queue }) =>
        owners.undecided.has(topic) ||
        owners.slots.get(queueKey({ topic, ...queue })) === this.#slot,
    );
    const stored = await store.list(this.#run.group);
    const slots = new Map(stored.map((item) => [queueKey(item.queue), item.slot]));
    const storedSlot = (key: string): AssignedSlot | undefined => slots.get(key);
    this.#since = oursSince(owners.slots, this.#slot, this.#since, storedSlot, clock.now());
    const allocation = allocationOf(this.#run, routes, owners, { storedSlot, since: this.#since });
    const items = await storeAssignments(this.#run, routes, allocation, stored);
    let settled = true;
    const due: Assignment[] = [];
    for (const item of items) {
      const { queue, slot, retiredAt, pausedUntil = 0 } = item;
      const since = this.#since.get(queueKey(queue));
      if (since === undefined) continue;
      if (clock.now() - since < SETTLE_MS) settled = false;
      else if (
        slot === this.#slot &&
        retiredAt === undefined &&
        pausedUntil < clock.now() &&
        this.#check.subscriptions.has(queue.topic) &&
        !this.queues.isWorked(queue)
      )
        due.push(item);
    }
    // Members make items, too: no coordinator has seen those of new queues. A pause refuses their leases.
    if (due.length > 0) await keepPauses(this.#run, due);
    for (const { queue } of due) this.queues.start(queue);
    const pause = Math.min(LOOK_INTERVAL_MS, this.#options.renewIntervalMs);
    return settled ? pause : Math.min(SETTLE_MS, pause);
  }

  /** Hands over to a successor without the others seeing the slot missing for more than a moment; then gives back everything. */
  async #leave(reason: StopReason): Promise<StopReason> {
    const { clock, logger } = this.#deps;
    logger.info({ reason }, 'the member leaves: draining');
    if (reason === 'succession') {
      await this.#seat.release();
      const until = clock.now() + HANDOVER_MS;
      while (clock.now() < until && this.#seat.mayAct() && !(await this.#presence.standsTwice())) {
        this.#wake = new AbortController();
        await clock.sleep(HANDOVER_LOOK_MS, this.#wake.signal).catch(() => {});
      }
      await this.#presence.leave();
      await this.queues.drainAll();
      return reason;
    }
    // Nobody comes after: the others may begin when everything is committed.
    await this.queues.drainAll(MOVED);
    await this.#presence.leave();
    await this.#seat.release();
    return reason;
  }
}

function asMember(source: SourceConfig, clientId: string, startedAt: number): GroupMember {
  const { consumerGroup, subscriptions } = source;
  const wanted = subscriptions.flatMap(({ topic, filter }) => {
    try {
      return [
        buildSubscription(
          topic,
          filter.expression,
          filter.type,
          filter.type === 'TAG' ? 0 : startedAt,
        ),
      ];
    } catch {
      // Told by the check of the filters.
      return [];
    }
  });
  const retry = retryTopic(consumerGroup);
  return {
    clientId,
    consumerGroup,
    messageModel: 'CLUSTERING',
    consumeFromWhere: START[subscriptions[0]?.startingPosition ?? 'LATEST'],
    subscriptions: [...wanted, buildSubscription(retry, '*')],
  };
}

const START = {
  TRIM_HORIZON: 'CONSUME_FROM_FIRST_OFFSET',
  LATEST: 'CONSUME_FROM_LAST_OFFSET',
  AT_TIMESTAMP: 'CONSUME_FROM_TIMESTAMP',
} as const;
