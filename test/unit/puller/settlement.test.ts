import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { QueueEntry } from '../../../src/decide/process-queue/process-queue.ts';
import type { Redelivery } from '../../../src/decide/retry/redelivery.ts';
import { ConnectionError } from '../../../src/errors.ts';
import type { DelayLevel } from '../../../src/model/delay-level.ts';
import type { PoppedMessage } from '../../../src/model/pop.ts';
import type { SourceConfig, SubscriptionConfig } from '../../../src/model/source.ts';
import type { RocketMQ } from '../../../src/ports/rocketmq.ts';
import type { HeldQueue } from '../../../src/puller/hold-queue.ts';
import type { Batch } from '../../../src/puller/work.ts';
import {
  createHeldQueue,
  type HeldQueueWorld,
  namedMessage,
  poppedMessage,
} from '../../support/held-queue.ts';
import { type Command, runTranscript } from '../../support/transcript.ts';

type Outcome = Parameters<HeldQueue['settlement']['conclude']>[1];

describe('transcripts', () => {
  test('settlement', async () => {
    let taken: TakenBatch | undefined;
    await runTranscript('settlement', async (command) => {
      if (command.word === 'batch') {
        taken = await takeBatch(command);
        return `mode ${command.arg('mode')}, in one batch: ${taken.names.join(' ')}`;
      }
      assert(taken !== undefined);
      const { world, batch, calls, entries } = taken;
      calls.splice(0);
      if (command.maybe('calls-left') !== undefined)
        world.leave(world.held.options.reserveMs + Number(command.arg('calls-left')) * 10_000);
      const parts = await settle(world.held, batch, entries, command);
      return [
        ...calls.map((call) => `> ${call}`),
        ...(parts.length > 0 ? [`> deliver now: ${parts.map(namesOf).join(', then ')}`] : []),
        ...entries.map(([name, entry]) => `${name} ${stateOf(entry, world)}`),
        ...reportOf(world),
      ].join('\n');
    });
  });
});

interface TakenBatch {
  readonly world: HeldQueueWorld;
  readonly batch: Batch;
  readonly names: readonly string[];
  readonly entries: readonly (readonly [string, QueueEntry])[];
  readonly calls: string[];
}

const MODES: Readonly<
  Record<
    string,
    { readonly source?: Partial<SourceConfig>; readonly subscription?: Partial<SubscriptionConfig> }
  >
> = {
  unordered: {},
  'by-queue': { subscription: { order: { by: 'queue', suspendCurrentQueueTimeMillis: 1_000 } } },
  'by-key': {
    subscription: {
      order: { by: 'key', key: 'SHARDING_KEY', suspendCurrentQueueTimeMillis: 1_000 },
    },
  },
  pop: { source: { mode: 'pop' } },
  broadcasting: { source: { messageModel: 'BROADCASTING' } },
};

/** `messages=a,b/k`: b has key k. `failed=2`: each has failed so often. */
async function takeBatch(command: Command): Promise<TakenBatch> {
  const mode = MODES[command.arg('mode')];
  assert(mode !== undefined, command.text);
  const failed = Number(command.maybe('failed') ?? 0);
  const isPopped = mode.source?.mode === 'pop';
  const messages = command
    .arg('messages')
    .split(',')
    .map((text, offset) => {
      const [name = '', key] = text.split('/');
      return namedMessage(name, offset, { key, reconsumeTimes: isPopped ? failed : 0 });
    });
  const calls: string[] = [];
  const popped: PoppedMessage[] = [];
  const world = createHeldQueue({
    ...mode,
    subscription: {
      ...mode.subscription,
      maximumRetryAttempts: Number(command.maybe('limit') ?? 16),
    },
    client: { ...brokerOf(calls, command.maybe('broker')), pop: popOnce(popped) },
    assignment: {
      attempts: new Map(failed === 0 ? [] : messages.map((_, offset) => [BigInt(offset), failed])),
    },
  });
  const { held } = world;
  if (isPopped) {
    popped.push(...messages.map((message) => poppedMessage(message, world.now())));
    void held.fetching.run(100);
    await new Promise(setImmediate);
  } else held.messages.put(messages, [], BigInt(messages.length), world.now());
  const { work } = held.nextBatch();
  assert(work?.kind === 'batch', command.text);
  const entries = work.deliveries.map(
    ({ entry, message }) => [String(message.body), entry] as const,
  );
  return { world, batch: work, names: entries.map(([name]) => name), entries, calls };
}

/** Gives the messages; the next pop has no answer. */
function popOnce(messages: PoppedMessage[]): RocketMQ['pop'] {
  return async () =>
    messages.length === 0
      ? new Promise(() => {})
      : { messages: messages.splice(0), filteredOut: [], undecodable: [], full: false };
}

/** @param mood undefined: it takes everything */
function brokerOf(calls: string[], mood: string | undefined): Partial<RocketMQ> {
  const answer = (call: string): void => {
    calls.push(call);
    if (mood === 'away') throw new ConnectionError('broker-a', 'refused', { maybeSent: false });
  };
  const nameAt = (offset: bigint): string => String.fromCharCode(97 + Number(offset));
  return {
    // The group has no dead letters.
    topicRoute: async (topic) => ({ topic, brokers: [], queues: [] }),
    minOffset: async () => 0n,
    maxOffset: async () => 0n,
    sendBack: async ({ commitLogOffset, delayLevel }) =>
      answer(`${nameAt(commitLogOffset)} ${levelName(delayLevel)} (request 36)`),
    sendBackAsNormalMessage: async (_group, { queueOffset }, delayLevel) =>
      answer(`${nameAt(queueOffset)} ${levelName(delayLevel)} (message)`),
    sendBackTimed: async (_group, { queueOffset }, delayMs) => {
      answer(`${nameAt(queueOffset)} comes again after ${delayMs} ms (timer)`);
      return true;
    },
    sendDeadLetter: async (_group, { msgId }, to) => answer(`${msgId} dead letter by ${to}`),
    ack: async (_group, _topic, { queueOffset }) => answer(`${nameAt(queueOffset)} acknowledged`),
    changeInvisibleTime: async (_group, _topic, handle, ms) => {
      answer(`${nameAt(handle.queueOffset)} visible again after ${ms} ms`);
      return handle;
    },
  } as Partial<RocketMQ>;
}

function levelName(level: DelayLevel): string {
  if (level === 'dead-letter') return 'to the DLQ';
  return level === 'broker-decides'
    ? 'sent back, the broker chooses when'
    : `sent back, level ${level}`;
}

async function settle(
  { settlement }: HeldQueue,
  batch: Batch,
  entries: TakenBatch['entries'],
  command: Command,
): Promise<readonly Batch[]> {
  if (command.word !== 'unhandled') return settlement.conclude(batch, outcomeOf(command, entries));
  for (const [name, entry] of entries)
    if (name === command.arg('message'))
      await settlement.settleUnhandled({
        ...{ kind: 'unhandled', entry, how: command.arg('how') as 'for-good' | 'failed' },
        ...{ condition: 'RejectedByHandler', code: 'ROCKETMQ_TEST', reason: 'test' },
      });
  return [];
}

/** `answered b=failed c=dlq d=drop e=level:5 f=seconds:42 suspend=5000` */
function outcomeOf(command: Command, entries: TakenBatch['entries']): Outcome {
  switch (command.word) {
    case 'answered': {
      const failures = new Map<number, Redelivery | 'default'>();
      for (const [position, [name]] of entries.entries()) {
        const said = command.maybe(name);
        if (said !== undefined) failures.set(position, redeliveryOf(said));
      }
      const suspension = command.maybe('suspend');
      return {
        kind: 'answered',
        verdict: { kind: 'read', failures, othersDone: true },
        suspension: suspension === undefined ? undefined : Number(suspension),
      };
    }
    case 'answered-nonsense':
      return {
        kind: 'answered',
        verdict: { kind: 'invalid', reason: 'the answer is a list' },
        suspension: undefined,
      };
    case 'threw':
      return { kind: 'failed', errorType: 'Error', errorMessage: 'broken' };
    case 'refused-by-lambda':
      return { kind: 'too-large', error: new Error('RequestTooLargeException') };
    default:
      throw new Error(`unknown command: ${command.text}`);
  }
}

function redeliveryOf(text: string): Redelivery | 'default' {
  const [kind, value] = text.split(':');
  switch (kind) {
    case 'dlq':
    case 'drop':
      return { kind };
    case 'level':
      return { kind, level: Number(value) };
    case 'seconds':
      return { kind, seconds: Number(value) };
    default:
      return 'default';
  }
}

function namesOf({ deliveries }: Batch): string {
  return deliveries.map(({ message }) => String(message.body)).join(' ');
}

function stateOf({ state, notBefore, localRetries }: QueueEntry, world: HeldQueueWorld): string {
  if (state === 'done') return 'done';
  if (state === 'taken') return 'with its handler';
  const waits = notBefore > world.now() ? `again after ${notBefore - world.now()} ms` : 'again now';
  return `${waits}, failures counted here: ${localRetries}`;
}

function reportOf({ held }: HeldQueueWorld): string[] {
  const { batchLimits, committedOffset: _, lifecycle, messages, source } = held;
  const limits = batchLimits
    .from(messages.committable)
    .map(({ until, maxMessages }) => `below offset ${until} at most ${maxMessages} a batch`);
  return [
    ...limits,
    ...(lifecycle.ending === undefined ? [] : [`queue drains: ${lifecycle.ending}`]),
    ...(source.mode === 'pop' ? [] : [`committable ${messages.committable}`]),
  ];
}
