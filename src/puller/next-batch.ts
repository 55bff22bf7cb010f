import { randomUUID } from 'node:crypto';
import {
  considerCandidate,
  EMPTY_DRAFT,
  isComplete,
  placeMessage,
} from '../decide/batch/choose-batch.ts';
import { tooLargeEnd } from '../decide/batch/why-unhandled.ts';
import { matchesAny } from '../decide/filter/matches-pattern.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { DeliveryMemory, QueueMemory } from '../decide/pull/memory-budget.ts';
import { BatchBuilder, MAX_EVENT_BYTES } from '../delivery/batch.ts';
import { filterable } from '../delivery/build-record.ts';
import { addRecord } from '../delivery/offload-body.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import { userTopic } from '../records/subscription.ts';
import type { AbsentHandlers } from './absent-handlers.ts';
import { areOfOneQueue, isLastDelivery } from './batch-borders.ts';
import { type WindowParts, windowEnd } from './batching-window.ts';
import { type BatchParts, newBatch } from './build-batch.ts';
import type { LocalAttempts } from './counted-attempts.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import type { EndCarrier } from './end-carrier.ts';
import type { BatchLimits } from './kept-batch-limits.ts';
import { openEntry } from './open-entry.ts';
import type { PendingEnds } from './pending-ends.ts';
import type { PullerDeps } from './puller-deps.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';
import {
  damaged,
  type Isolation,
  type SET_ASIDE,
  setAsideReading,
  type UnhandledReading,
  whyUnhandled,
} from './read-unhandled.ts';
import { type RecordParts, recordOf } from './record-of.ts';
import { siftMessages } from './sift-messages.ts';
import { unprocessable } from './unprocessable.ts';
import type { Delivery, NextWork } from './work.ts';

export interface NextBatchParts
  extends WindowParts,
    BatchParts,
    RecordParts,
    Pick<PullerDeps, 'clock' | 'bodies'> {
  readonly logger: Logger;
  readonly subscriptions: QueueSubscriptions;
  readonly messages: ProcessQueue;
  readonly memory: QueueMemory;
  readonly crash: CrashKeeper;
  readonly batchLimits: BatchLimits;
  readonly pendingEnds: PendingEnds;
  readonly attempts: Pick<LocalAttempts, 'failuresBeforeEnd' | 'delivers'>;
  readonly carrier: Pick<EndCarrier, 'owns'>;
  readonly absent: Pick<AbsentHandlers, 'whyAbsent'>;
  /** False: it was popped, and its time is over. */
  readonly isOurs: (entry: QueueEntry) => boolean;
}

/** What a deliverer does next. */
export interface Chosen {
  /** undefined: there is nothing to deliver now. */
  readonly work: NextWork | undefined;
  /** Taken out of the queue because no pattern of their subscription matches: they are done without a handler. */
  readonly filteredOut: readonly QueueEntry[];
  /** Taken out of the queue because their handlers cannot be called now: they go to the end of the retry topic. */
  readonly setAside: readonly QueueEntry[];
}

/** What leaves the queue without a handler. */
type Removed = { readonly [Name in 'filteredOut' | 'setAside']: QueueEntry[] };

/**
 * Takes the next messages that can go to one handler in one event: same user topic, up to batchSize, Lambda's payload and
 * the memory of the invocation. A batch's memory is to be released when its call has ended.
 */
export function nextBatch(parts: NextBatchParts): Chosen {
  const memory = parts.memory.startDelivery();
  const removed: Removed = { filteredOut: [], setAside: [] };
  let work: NextWork | undefined;
  try {
    if (!parts.crash.isIsolating) work = chooseWork(parts, memory, removed);
  } finally {
    if (work?.kind !== 'batch') memory.release();
  }
  return { work, ...removed };
}

/** What no handler gets leaves the queue first, so that windows and batches count what handlers get. */
function chooseWork(
  parts: NextBatchParts,
  memory: DeliveryMemory,
  removed: Removed,
): NextWork | undefined {
  const sifted = siftMessages(parts);
  for (const name of ['filteredOut', 'setAside'] as const)
    for (const entry of sifted[name]) {
      parts.messages.take(entry);
      removed[name].push(entry);
    }
  if (sifted.unhandled !== undefined) {
    const { entry, reading } = sifted.unhandled;
    take(parts, entry, reading);
    return { ...reading.why, entry };
  }
  // What is taken closes its message group until it has its end, which is not far.
  if (removed.filteredOut.length > 0 && isOrdered(parts)) return undefined;
  if (!sifted.waitsForMemory && windowEnd(parts) !== undefined) return undefined;
  return chooseBatch(parts, memory, removed);
}

function isOrdered({ subscriptions }: Pick<NextBatchParts, 'subscriptions'>): boolean {
  return subscriptions.all.some(({ order }) => order !== undefined);
}

/** Carries out what decide/batch/choose-batch decides. */
function chooseBatch(
  parts: NextBatchParts,
  memory: DeliveryMemory,
  removed: Removed,
): NextWork | undefined {
  const { messages, crash, batchLimits, isOurs } = parts;
  const now = parts.clock.now();
  const next = messages.batch(now);
  const event: EventDraft = {
    now,
    newDeliveryId: deliveryIds(),
    subscription: undefined,
    builder: undefined,
    first: undefined,
  };
  const deliveries: Delivery[] = [];
  let draft = EMPTY_DRAFT;
  while (!isComplete(draft)) {
    const entry = next();
    if (entry === undefined) break;
    const candidate = {
      maxMessages: batchLimits.maxMessagesAt(entry.offset),
      isOurs: isOurs(entry),
      isolation: crash.isolation(entry.offset),
    };
    const considered = considerCandidate(draft, candidate, messages.taken);
    draft = considered.draft;
    if (considered.next === 'stop') break;
    if (considered.next === 'forget') {
      forget(parts, entry);
      continue;
    }
    const reading = read(parts, entry, candidate.isolation, event, memory);
    const placed = placeMessage(draft, reading, candidate);
    draft = placed.draft;
    if (placed.next === 'stop') break;
    take(parts, entry, reading);
    if (reading.kind === 'unhandled') return { ...reading.why, entry };
    if (reading.kind === 'added') deliveries.push({ entry, message: reading.message });
    else removed[reading.kind === 'set-aside' ? 'setAside' : 'filteredOut'].push(entry);
  }
  const { subscription, builder } = event;
  if (subscription === undefined || builder === undefined) return undefined;
  const { items } = builder;
  const filledSince = parts.fill.waitedSince(deliveries[0]?.entry);
  const content = { subscription, deliveries, items, memory, alone: draft.isAlone };
  return newBatch(parts, { ...content, filledSince });
}

function forget(
  { messages, carrier, logger }: Pick<NextBatchParts, 'messages' | 'carrier' | 'logger'>,
  entry: QueueEntry,
): void {
  messages.take(entry);
  carrier.owns(entry);
  logger.warn(
    { code: 'ROCKETMQ_POP_EXPIRED' },
    'popped message waited longer than its invisible time, the broker gives it again',
  );
}

function take(
  {
    messages,
    pendingEnds,
    attempts,
  }: Pick<NextBatchParts, 'messages' | 'pendingEnds' | 'attempts'>,
  entry: QueueEntry,
  reading: Reading,
): void {
  messages.take(entry);
  if ('message' in reading && reading.message !== undefined) messages.open(entry, reading.message);
  if (reading.kind === 'added') attempts.delivers(entry.offset);
  if (reading.kind !== 'unhandled' || pendingEnds.of(entry) !== undefined) return;
  if (reading.pendingEnd !== undefined) pendingEnds.postpone(entry, reading.pendingEnd);
}

/** The event that messages are added to; empty before the first. */
interface EventDraft {
  /** Epoch ms, for all that is read for it. */
  readonly now: number;
  readonly newDeliveryId: () => string;
  subscription: SubscriptionConfig | undefined;
  builder: BatchBuilder | undefined;
  first: Message | undefined;
}

type Reading =
  | { readonly kind: 'added'; readonly batchSize: number; readonly message: Message }
  | { readonly kind: 'filtered-out' | 'of-another' }
  | typeof SET_ASIDE
  | UnhandledReading;

/**
 * All that reads a message before its handler does: topic, age, patterns, record. Producers choose
 * what stands there, so whatever is thrown gives this message its end, and the queue goes on.
 */
function read(
  parts: NextBatchParts,
  entry: QueueEntry,
  isolation: Isolation,
  event: EventDraft,
  memory: DeliveryMemory,
): Reading {
  const before = memory.held;
  let reading: Reading;
  try {
    reading =
      whyUnhandled(parts, entry, isolation, event.now) ??
      setAsideReading(parts, entry, event.now) ??
      add(parts, entry, event, memory);
  } catch (error) {
    reading = { kind: 'unhandled', why: unprocessable(error) };
  }
  if (reading.kind !== 'added') memory.give(memory.held - before);
  return reading;
}

function add(
  parts: NextBatchParts,
  entry: QueueEntry,
  event: EventDraft,
  memory: DeliveryMemory,
): Reading {
  const stored = entry.message as Message;
  const topic = userTopic(stored, parts.source.consumerGroup);
  const own = parts.subscriptions.ofTopic(topic) as SubscriptionConfig;
  const { subscription = own, first = stored } = event;
  if (own !== subscription || event.builder?.hasIdOf(stored)) return { kind: 'of-another' };
  const message = openEntry(parts, entry, stored, memory, own, event.now);
  if (message === 'wait') return { kind: 'of-another' };
  if (message === 'undecodable') return damaged(parts.logger, entry);
  if (!entry.matched && !matchesFilter(own, message)) return { kind: 'filtered-out' };
  if (own.eventFormat === 'kafka' && !areOfOneQueue(first, message)) return { kind: 'of-another' };
  if (!isLastDelivery(parts.source, own, entry.localRetries, stored))
    return addTo(parts, event, own, message, entry.localRetries);
  if (event.first !== undefined) return { kind: 'of-another' };
  const reading = addTo(parts, event, own, message, entry.localRetries);
  return reading.kind === 'added' ? { ...reading, batchSize: 1 } : reading;
}

function matchesFilter({ filterPatterns }: SubscriptionConfig, message: Message): boolean {
  return filterPatterns === undefined || matchesAny(filterPatterns, filterable(message));
}

function addTo(
  parts: NextBatchParts,
  event: EventDraft,
  own: SubscriptionConfig,
  message: Message,
  localRetries: number,
): Reading {
  const { bodies } = parts;
  const { builder = builderFor(own), first = message } = event;
  const fit = addRecord(
    builder,
    () => recordOf(parts, message, own, localRetries, event.now, event.newDeliveryId()),
    message.body,
    bodies && own.s3PointerThreshold,
  );
  if (fit === 'full' || fit === 'same-id') return { kind: 'of-another' };
  if (fit === 'too-large') return { kind: 'unhandled', message, why: tooLargeEnd(MAX_EVENT_BYTES) };
  if (event.builder === undefined) Object.assign(event, { subscription: own, builder, first });
  return { kind: 'added', batchSize: own.batchSize, message };
}

/** One random id for a batch, which is counted on: a new one takes as long as a tenth of the record. */
function deliveryIds(): () => string {
  let random: string | undefined;
  let count = 0;
  return () => {
    random ??= randomUUID();
    return `${random}-${count++}`;
  };
}

/** An empty event for the subscription's handler. */
export function builderFor({ handler, eventFormat }: SubscriptionConfig): BatchBuilder {
  return new BatchBuilder(
    handler.invocation === 'inline' ? undefined : MAX_EVENT_BYTES,
    eventFormat,
  );
}
