import type { Fault } from './inject-fault.ts';
import type { Delivery, Stored } from './journal.ts';
import { PULLER_ENDED } from './plan-faults.ts';
import { isDead, MAX_RETRIES, messageGroupOf, type Order } from './workload.ts';

/** A message as it lies in a topic. */
export interface TopicEntry {
  readonly seq: number;
  readonly key: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly reconsumeTimes: number;
  /** Epoch ms by the broker's clock. */
  readonly storedAt: number;
}

/** What one order's run left behind. Deliveries are in the order in which they began. */
export interface Evidence {
  readonly order: Order;
  readonly topic: string;
  readonly deliveries: readonly Delivery[];
  readonly faults: readonly Fault[];
  /** By the producer's word. */
  readonly stored: readonly Stored[];
  /** The topic as it is in the end: a producer that repeats a send leaves a message twice. */
  readonly entries: readonly TopicEntry[];
  /** What was sent back, as it waits for its delay and as it comes again: a killed broker lets some of it come twice. */
  readonly delayed: readonly TopicEntry[];
  readonly redelivered: readonly TopicEntry[];
  readonly deadLetters: readonly TopicEntry[];
}

/** A delivery that nothing asked for: neither the first nor the answer to a failure. */
export interface Repeat {
  readonly delivery: Delivery;
  readonly before: Delivery;
  readonly fault: Fault | undefined;
}

/** What a fault cost. */
export interface FaultCost {
  readonly fault: Fault;
  /** The first of each message. */
  readonly repeats: readonly Repeat[];
  /** Messages whose handler ran when it happened, in the queues that it concerns. */
  readonly inFlight: number;
  /** Messages that were done by then, but lie behind one in flight: they cannot be committed. */
  readonly ahead: number;
  /** Messages done in the second before, or in a mean second of the ten before; longer where the broker was away. */
  readonly perSecond: number;
  readonly bound: number;
  /** The longest that a repeated message was done before the fault; undefined: none was. */
  readonly oldestMs: number | undefined;
  readonly extraDeadLetters: number;
  /** Until every message that was stored by its end had its verdict; undefined: it concerns no queue. */
  readonly catchUpMs: number | undefined;
}

/** A fault may show its effect so long after its end: timeouts, leases and redelivery delays end. */
const AFTERMATH_MS = 10_000;
/** From a handler's answer to a commit's: messages are sent back, the stored offset is read and written. On a busy machine. */
const SETTLE_MS = 500;
const RATE_WINDOW_MS = 10_000;
/** A broker that is back has its first commit by then. */
const RECONNECT_MS = 5_000;
/** A puller commits within this time of settling. */
const COMMIT_MS = 1_000;
/** A broker that is killed forgets the commits since it last wrote them down (flushConsumerOffsetInterval), and a slow write more. */
const FORGOTTEN_MS = 10_000;

/** Messages that were not done by any handler and are not in the DLQ. */
export function lostMessages({ deliveries, stored, deadLetters }: Evidence): number[] {
  const ended = new Set(deadLetters.map(({ seq }) => seq));
  for (const { seq, verdict } of deliveries) if (verdict === 'done') ended.add(seq);
  return stored.map(({ seq }) => seq).filter((seq) => !ended.has(seq));
}

/**
 * Entries of the DLQ by message: too few, too many, and those of messages that can be done. A last delivery that was repeated fails again and is in
 * the DLQ again: the bound of repeated deliveries counts that.
 */
export function deadLetterErrors(evidence: Evidence): string[] {
  const stored = countBySeq(evidence.entries);
  const dead = countBySeq(evidence.deadLetters);
  const copies = copiesOf(evidence);
  const failures = countBySeq(lastFailures(evidence));
  return [...new Set([...stored.keys(), ...dead.keys()])].flatMap((seq) => {
    const least = isDead(seq) ? copies(seq, MAX_RETRIES) : 0;
    const most = isDead(seq) ? Math.max(least, failures.get(seq) ?? 0) : 0;
    const found = dead.get(seq) ?? 0;
    if (found >= least && found <= most) return [];
    return [`message ${seq}: ${found} entries instead of ${found < least ? least : most}`];
  });
}

function lastFailures({ deliveries }: Evidence): Delivery[] {
  return deliveries.filter(
    ({ verdict, reconsumeTimes }) => verdict === 'failed' && reconsumeTimes >= MAX_RETRIES,
  );
}

/** Why the DLQ has entries beyond the first of each stored message. */
export function extraDeadLettersOf(evidence: Evidence): {
  /** The last delivery was repeated, and failed again. */
  readonly failedAgain: number;
  /** The last delivery was not repeated, but its send to the DLQ. */
  readonly sentAgain: number;
} {
  const dead = countBySeq(evidence.deadLetters);
  const copies = copiesOf(evidence);
  const failed = countBySeq(lastFailures(evidence));
  let [failedAgain, sentAgain] = [0, 0];
  for (const [seq, found] of dead) {
    const expected = copies(seq, MAX_RETRIES);
    const failures = Math.max(expected, failed.get(seq) ?? 0);
    failedAgain += Math.max(0, Math.min(found, failures) - expected);
    sentAgain += Math.max(0, found - failures);
  }
  return { failedAgain, sentAgain };
}

/** Entries of the DLQ beyond those that its copies explain. */
function extraDeadLetters(evidence: Evidence): TopicEntry[] {
  const copies = copiesOf(evidence);
  const found = new Map<number, number>();
  return [...evidence.deadLetters]
    .sort((a, b) => a.storedAt - b.storedAt)
    .filter(({ seq }) => {
      const before = found.get(seq) ?? 0;
      found.set(seq, before + 1);
      return before >= copies(seq, MAX_RETRIES);
    });
}

/**
 * How often a message is there by others' doing, by its redelivery: its producer stored it twice, or its broker, killed, forgot which delayed
 * messages it had let come again already (it writes that down every 10 s).
 */
function copiesOf({
  entries,
  delayed,
  redelivered,
}: Evidence): (seq: number, reconsumeTimes: number) => number {
  const stored = countBySeq(entries);
  const attemptOf = ({ seq, reconsumeTimes }: TopicEntry): string => `${seq} ${reconsumeTimes}`;
  const asked = Map.groupBy(delayed, attemptOf);
  const came = Map.groupBy(redelivered, attemptOf);
  return (seq, reconsumeTimes) => {
    let copies = stored.get(seq) ?? 1;
    for (let times = 1; times <= reconsumeTimes; times++) {
      const attempt = `${seq} ${times}`;
      copies += Math.max(0, (came.get(attempt)?.length ?? 0) - (asked.get(attempt)?.length ?? 0));
    }
    return copies;
  };
}

/** Redeliveries that the broker let come twice. */
export function doubledByBroker({ delayed, redelivered }: Evidence): number {
  return Math.max(0, redelivered.length - delayed.length);
}

/** Deliveries that began before an earlier message of the same order had its end, and handlers that worked on one order at once. */
export function orderErrors({ order, topic, deliveries, entries }: Evidence): string[] {
  if (order === 'none') return [];
  const placeOf = (queue: string, offset: number): string => `${queue}/${offset}`;
  const groups = new Map<string, string[]>();
  const positions = new Map<string, { readonly group: string; readonly position: number }>();
  const brokerQueue = (queueId: number): string => `${topic}/broker-a/${queueId}`;
  for (const { key, queueId, queueOffset } of [...entries].sort(
    (a, b) => a.queueOffset - b.queueOffset,
  )) {
    const queue = brokerQueue(queueId);
    const group = messageGroupOf(order, queue, key) as string;
    const places = groups.get(group) ?? [];
    groups.set(group, places);
    const place = placeOf(queue, queueOffset);
    positions.set(place, { group, position: places.length });
    places.push(place);
  }
  const errors: string[] = [];
  /** By group: everything before this position has its end. */
  const ended = new Map<string, number>();
  const running = new Map<string, { readonly requestId: string; readonly until: number }>();
  for (const call of callsOf(deliveries)) {
    const reached = new Map<string, number>();
    for (const delivery of call) {
      const place = placeOf(delivery.queue, delivery.offset);
      const found = positions.get(place);
      if (found === undefined) {
        errors.push(`${place} was delivered and is not in the topic`);
        continue;
      }
      const { group, position } = found;
      const before = running.get(group);
      if (
        before !== undefined &&
        before.requestId !== delivery.requestId &&
        before.until > delivery.begunAt
      )
        errors.push(
          `${place} began ${before.until - delivery.begunAt} ms before the call ${before.requestId} of its order ended`,
        );
      const next = Math.max(ended.get(group) ?? 0, reached.get(group) ?? 0);
      if (position > next)
        errors.push(`${place} (message ${delivery.seq}) overtook ${groups.get(group)?.[next]}`);
      reached.set(group, Math.max(reached.get(group) ?? 0, position + 1));
    }
    for (const { queue, offset, endedAt, requestId, verdict, reconsumeTimes } of call) {
      const found = positions.get(placeOf(queue, offset));
      if (found === undefined) continue;
      const { group, position } = found;
      running.set(group, { requestId, until: endedAt ?? Number.POSITIVE_INFINITY });
      const over = verdict === 'done' || (verdict === 'failed' && reconsumeTimes >= MAX_RETRIES);
      if (over && position === (ended.get(group) ?? 0)) ended.set(group, position + 1);
    }
  }
  return errors;
}

/**
 * Deliveries that nothing asked for, each with the fault that explains it best. A failed message that came back twice fails and comes back twice
 * again, and what stood behind a failure comes again with it: what follows from a repeat has the fault of its first one.
 */
export function repeatsOf(evidence: Evidence): Repeat[] {
  const { deliveries, faults } = evidence;
  const copies = copiesOf(evidence);
  const times = new Map<string, number>();
  const lastOf = new Map<string, Delivery>();
  const failed = new Set<string>();
  const repeated = new Map<string, Repeat>();
  const repeats: Repeat[] = [];
  for (const delivery of deliveries) {
    const { seq, reconsumeTimes, queue, offset, verdict } = delivery;
    const attempt = `${seq} ${reconsumeTimes}`;
    const earlier = `${seq} ${reconsumeTimes - 1}`;
    const place = `${queue}/${offset}`;
    const seen = times.get(attempt) ?? 0;
    const askedFor = reconsumeTimes === 0 || failed.has(earlier);
    const before = lastOf.get(place) ?? lastOf.get(earlier) ?? lastOf.get(attempt);
    if (before !== undefined && (!askedFor || seen >= copies(seq, reconsumeTimes))) {
      const follows = before.verdict === 'skipped' ? repeated.get(attempt) : repeated.get(earlier);
      const fault = follows?.fault ?? causeOf(delivery, before, faults);
      const repeat = { delivery, before, fault };
      repeats.push(repeat);
      repeated.set(attempt, repeated.get(attempt) ?? repeat);
    }
    // Those behind a failure in its order are delivered again without being asked for.
    if (verdict !== 'skipped') times.set(attempt, seen + 1);
    if (verdict === 'failed') failed.add(attempt);
    for (const key of [attempt, place]) lastOf.set(key, delivery);
  }
  return repeats;
}

/** What explains a repeated delivery, the likeliest last. */
const LIKELIHOOD = {
  none: 0,
  /** It concerns no queue of its own. */
  elsewhere: 1,
  broker: 2,
  /** Its puller ended as it should: what was done ahead of a failed message comes again. */
  ended: 3,
  /** The commit of the earlier delivery fell into it, or was forgotten. */
  brokerAtCommit: 4,
  puller: 5,
  /** The very call. */
  call: 6,
} as const;

function causeOf(
  delivery: Delivery,
  before: Delivery,
  faults: readonly Fault[],
): Fault | undefined {
  const likelihood = (fault: Fault): number => {
    const { kind, at, queues, requestId } = fault;
    if (requestId !== undefined)
      return requestId === before.requestId ? LIKELIHOOD.call : LIKELIHOOD.none;
    if (kind.startsWith('broker'))
      return hidesCommit(fault, before) ? LIKELIHOOD.brokerAtCommit : LIKELIHOOD.broker;
    if (queues === undefined) return LIKELIHOOD.elsewhere;
    if (!queues.includes(before.queue) && !queues.includes(delivery.queue)) return LIKELIHOOD.none;
    if (kind !== PULLER_ENDED) return LIKELIHOOD.puller;
    return at >= before.begunAt ? LIKELIHOOD.ended : LIKELIHOOD.none;
  };
  return faults
    .filter(({ at, until }) => at <= delivery.begunAt && until + AFTERMATH_MS >= before.calledAt)
    .map((fault) => ({ fault, rank: likelihood(fault) }))
    .filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank || b.fault.at - a.fault.at)[0]?.fault;
}

/** Was the broker away when the delivery was to be committed, or did it forget that commit? */
function hidesCommit({ kind, at, until }: Fault, { returnedAt }: Delivery): boolean {
  const lastMs = kind === 'broker killed' ? FORGOTTEN_MS : COMMIT_MS + SETTLE_MS;
  return at <= returnedAt + lastMs && until + RECONNECT_MS >= returnedAt;
}

/** What each fault cost all orders together. */
export function costsOf(evidence: readonly Evidence[]): FaultCost[] {
  const [first = [], ...others] = evidence.map(costsOfOrder);
  return first.map((cost, index) =>
    others.map((costs) => costs[index] as FaultCost).reduce(addCosts, cost),
  );
}

function addCosts(one: FaultCost, other: FaultCost): FaultCost {
  return {
    fault: one.fault,
    repeats: [...one.repeats, ...other.repeats],
    inFlight: one.inFlight + other.inFlight,
    ahead: one.ahead + other.ahead,
    perSecond: one.perSecond + other.perSecond,
    bound: one.bound + other.bound,
    extraDeadLetters: one.extraDeadLetters + other.extraDeadLetters,
    oldestMs: longer(one.oldestMs, other.oldestMs),
    catchUpMs: longer(one.catchUpMs, other.catchUpMs),
  };
}

function longer(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || (other !== undefined && other > one) ? other : one;
}

function costsOfOrder(evidence: Evidence): FaultCost[] {
  const { deliveries, faults } = evidence;
  const repeats = firstOfEach(repeatsOf(evidence));
  const extra = extraDeadLetters(evidence).map(
    ({ seq, storedAt }) =>
      repeats.find(({ delivery }) => delivery.seq === seq)?.fault ??
      faults.findLast(({ at }) => at <= storedAt),
  );
  const verdicts = firstVerdicts(deliveries);
  const done = endsOf(evidence);
  return faults.map((fault) => {
    const concerned = deliveries.filter(
      ({ queue }) => fault.queues === undefined || fault.queues.includes(queue),
    );
    const inFlight = concerned.filter(
      ({ calledAt, returnedAt }) => calledAt <= fault.at && returnedAt > fault.at,
    ).length;
    const since = uncommittedSince(fault, faults);
    const unsettled = (from: number): { readonly ahead: number; readonly perSecond: number } => ({
      ahead: messagesAhead(concerned, done, fault.at, from),
      perSecond: trafficOf(concerned, fault.at, from),
    });
    const { ahead, perSecond } = unsettled(since);
    const most = unsettled(since < fault.at ? since - SETTLE_MS : since);
    const own = repeats.filter((repeat) => repeat.fault === fault);
    return {
      ...{ fault, inFlight, ahead, perSecond, repeats: own },
      oldestMs: own
        .map(({ before }) => fault.at - before.returnedAt)
        .filter((ms) => ms >= 0)
        .reduce<number | undefined>(longer, undefined),
      bound: boundOf(fault, deliveries, inFlight + most.ahead + most.perSecond),
      extraDeadLetters: extra.filter((cause) => cause === fault).length,
      catchUpMs: catchUpOf(evidence, verdicts, fault),
    };
  });
}

/** The most messages that a fault may have delivered again. */
function boundOf(
  { kind, requestId }: Fault,
  deliveries: readonly Delivery[],
  unsettled: number,
): number {
  switch (kind) {
    case 'puller killed':
    case 'puller frozen':
    case 'broker frozen':
    case 'broker terminated':
    case 'broker killed':
    case PULLER_ENDED:
      return unsettled;
    case 'handler killed':
      return deliveries.filter((delivery) => delivery.requestId === requestId).length;
    case 'coordinator killed':
    case 'table frozen':
    case 'name server frozen':
    case 'concurrency 6':
      return 0;
  }
}

/** What was done before is committed: a second ago, or when the broker was still there. Who ends commits all, when it is there. */
function uncommittedSince({ kind, at }: Fault, faults: readonly Fault[]): number {
  return faults
    .filter((other) => other.kind.startsWith('broker') && other.at < at)
    .filter(({ until }) => until + RECONNECT_MS >= at)
    .reduce(
      (since, other) => Math.min(since, other.at - COMMIT_MS),
      kind === PULLER_ENDED ? at : at - COMMIT_MS,
    );
}

/** Messages done since then, or in as many mean seconds of the ten before. */
function trafficOf(deliveries: readonly Delivery[], at: number, since: number): number {
  const after = (from: number): number =>
    deliveries.filter(({ returnedAt }) => returnedAt > from && returnedAt <= at).length;
  return Math.max(
    after(since),
    Math.ceil((after(at - RATE_WINDOW_MS) * (at - since)) / RATE_WINDOW_MS),
  );
}

function messagesAhead(
  deliveries: readonly Delivery[],
  ends: ReadonlyMap<string, number>,
  at: number,
  since: number,
): number {
  const queues = Map.groupBy(deliveries, ({ queue }) => queue);
  return [...queues].reduce((sum, [queue, own]) => {
    const furthest = own
      .filter(({ begunAt }) => begunAt <= at)
      .reduce((most, { offset }) => Math.max(most, offset), -1);
    // Also those that had not begun: a call that is throttled, or a key that waits for its failure.
    const offsets = new Set(own.map(({ offset }) => offset).filter((offset) => offset <= furthest));
    const places = [...offsets].map((offset) => ({
      offset,
      endedAt: ends.get(`${queue}/${offset}`) ?? Number.POSITIVE_INFINITY,
    }));
    const lowest = places
      .filter(({ endedAt }) => endedAt > at)
      .reduce((least, { offset }) => Math.min(least, offset), Number.POSITIVE_INFINITY);
    const ahead = places.filter(({ offset, endedAt }) => offset > lowest && endedAt <= since);
    return sum + ahead.length;
  }, 0);
}

/** By place in a queue: when a message had its end there. Without order a failure is one: the message goes to the retry topic. */
function endsOf({ order, deliveries }: Evidence): Map<string, number> {
  const ends = new Map<string, number>();
  const attempts = new Map<number, number>();
  for (const { seq, reconsumeTimes } of deliveries)
    attempts.set(seq, Math.max(attempts.get(seq) ?? 0, reconsumeTimes));
  for (const { queue, offset, seq, returnedAt, verdict, reconsumeTimes } of deliveries) {
    // A handler that was killed with one message sends it back without a verdict.
    const sentBack = order === 'none' && (attempts.get(seq) ?? 0) > reconsumeTimes;
    const last = verdict === 'failed' && reconsumeTimes >= MAX_RETRIES;
    if (verdict !== 'done' && !sentBack && !last) continue;
    const place = `${queue}/${offset}`;
    ends.set(place, Math.min(ends.get(place) ?? Number.POSITIVE_INFINITY, returnedAt));
  }
  return ends;
}

function firstVerdicts(deliveries: readonly Delivery[]): Map<number, number> {
  const verdicts = new Map<number, number>();
  for (const { seq, verdict, endedAt } of deliveries)
    if (verdict !== undefined && endedAt !== undefined && !verdicts.has(seq))
      verdicts.set(seq, endedAt);
  return verdicts;
}

function catchUpOf(
  { topic, stored }: Evidence,
  verdicts: ReadonlyMap<number, number>,
  { queues, until }: Fault,
): number | undefined {
  const all = queues === undefined || queues.length === 0;
  const concerned = stored.filter(
    ({ queueId, storedAt }) =>
      storedAt <= until && (all || queues.includes(`${topic}/broker-a/${queueId}`)),
  );
  if (concerned.length === 0) return undefined;
  const last = concerned.reduce(
    (latest, { seq }) => Math.max(latest, verdicts.get(seq) ?? Number.POSITIVE_INFINITY),
    0,
  );
  return Math.max(0, last - until);
}

/** Deliveries of one handler call side by side, calls in the order in which they began. */
function callsOf(deliveries: readonly Delivery[]): Delivery[][] {
  return [...Map.groupBy(deliveries, ({ requestId }) => requestId).values()];
}

function firstOfEach(repeats: readonly Repeat[]): Repeat[] {
  const firsts = new Map<number, Repeat>();
  for (const repeat of repeats)
    if (!firsts.has(repeat.delivery.seq)) firsts.set(repeat.delivery.seq, repeat);
  return [...firsts.values()];
}

function countBySeq(entries: readonly { readonly seq: number }[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { seq } of entries) counts.set(seq, (counts.get(seq) ?? 0) + 1);
  return counts;
}
