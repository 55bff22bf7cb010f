import { describe, test } from 'node:test';
import {
  followingFrom,
  type OffsetAction,
  type OffsetEvent,
  type OffsetState,
  step,
} from '../../src/queue/offset-tracker.ts';
import {
  firstPull,
  type LifeCheck,
  type PullAnswer,
  type PullEvent,
  type PullStep,
  stepPull,
} from '../../src/queue/pull-state.ts';
import {
  type LifecycleAction,
  type LifecycleEvent,
  RUNNING,
  stepLifecycle,
} from '../../src/queue/queue-lifecycle.ts';
import { type DrainReason, stopPolicy } from '../../src/queue/stop-reasons.ts';
import { type Command, runTranscript } from '../support/transcript.ts';

describe('transcripts', () => {
  test('offset-tracker', async () => {
    let state = followingFrom(undefined);
    await runTranscript('offset-tracker', (command) => {
      if (command.word === 'begin') {
        state = followingFrom(offset(command.arg('stored')));
        return describeOffsets(state);
      }
      const next = step(state, offsetEvent(command));
      state = next.state;
      return [describeOffsets(state), ...next.actions.map(describeOffsetAction)].join('\n');
    });
  });

  test('pull-state', async () => {
    let state = firstPull(0);
    await runTranscript('pull-state', (command) => {
      const step: PullStep =
        command.word === 'begin'
          ? { state: firstPull(0, command.maybe('mark') === 'old'), action: { type: 'pull' } }
          : stepPull(state, pullEvent(command, state.brokerId));
      state = step.state;
      return describePull(step);
    });
  });

  test('queue-lifecycle', async () => {
    let state = RUNNING;
    await runTranscript('queue-lifecycle', (command) => {
      if (command.word === 'begin') state = RUNNING;
      else {
        const next = stepLifecycle(state, lifecycleEvent(command));
        state = next.state;
        return [JSON.stringify(state), ...next.actions.map(describeLifecycleAction)].join('\n');
      }
      return JSON.stringify(state);
    });
  });
});

/** Without chance a wait is half of its step. The broker that was asked is the one of the state, unless `by` names another. */
function pullEvent(command: Command, brokerId: number): PullEvent {
  const now = Number(command.maybe('now') ?? 0);
  const by = Number(command.maybe('by') ?? brokerId);
  switch (command.word) {
    case 'answered':
      return {
        type: 'answered',
        answer: pullAnswer(command, by),
        suggestedBrokerId: Number(command.maybe('suggests') ?? 0),
        now,
      };
    case 'contradicted':
      return { type: 'contradicted', now };
    case 'reset-read':
      return { type: 'reset-read', pending: command.arg('pending') === 'yes' };
    case 'life-checked':
      return { type: 'life-checked', life: command.arg('life') as LifeCheck, now };
    case 'not-admitted':
      return { type: 'not-admitted', maxMessages: Number(command.arg('max')) };
    case 'failed': {
      const failure = command.arg('failure') as Extract<PullEvent, { type: 'failed' }>['failure'];
      return { type: 'failed', failure, brokerId: by, now, random: 0 };
    }
    case 'moved':
    case 'admitted':
    case 'taken':
    case 'waited':
    case 'interrupted':
      return { type: command.word };
    default:
      throw new Error(`unknown command: ${command.text}`);
  }
}

/** `answered FOUND`, `answered OFFSET_MOVED reset`, `answered NO_NEW_MSG not-held`. */
function pullAnswer({ text }: Command, brokerId: number): PullAnswer {
  const flags = new Set(text.split(' '));
  const status = (['OFFSET_MOVED', 'NO_NEW_MSG', 'NO_MATCHED_MSG'] as const).find((name) =>
    flags.has(name),
  );
  return {
    status: status ?? 'FOUND',
    reset: flags.has('by-operator'),
    fromMaster: brokerId === 0,
    outdated: flags.has('outdated'),
    resetPending: flags.has('reset-pending'),
    repeats: flags.has('not-held'),
  };
}

function describePull({ state, action }: PullStep): string {
  const { brokerId, masterUntil, failures, unreadable, contradictions, maxMessages } = state;
  const { lifeCheckAt } = state;
  const facts = { failures, unreadable, contradictions, masterUntil, maxMessages };
  const shown = Object.entries(facts)
    .filter(([, value]) => value !== undefined && value !== 0)
    .map(([name, value]) => ` ${name}=${value}`);
  const check = lifeCheckAt === undefined ? '' : ` check-life-at=${lifeCheckAt}`;
  return `${describePullAction(action)}  (next broker ${brokerId}${shown.join('')}${check})`;
}

function describePullAction(action: PullStep['action']): string {
  switch (action.type) {
    case 'inspect-queue':
      return `> inspect-queue${action.trusted ? ', the answer is trusted' : ''}`;
    case 'take':
      return `> take${action.isMarked ? '' : ', the life mark stays'}`;
    case 'linger':
    case 'back-off':
      return `> ${action.type} ${action.waitMs} ms`;
    case 'stop':
      return `> stop: ${action.why}`;
    default:
      return `> ${action.type}`;
  }
}

const NONE = 'none';

function offset(text: string): bigint | undefined {
  return text === NONE ? undefined : BigInt(text);
}

function offsetEvent(command: Command): OffsetEvent {
  const number = (name: string): bigint => BigInt(command.arg(name));
  switch (command.word) {
    case 'commit-due':
      return { type: 'commit-due', committable: number('committable') };
    case 'stored':
      return {
        type: 'stored',
        offset: offset(command.arg('offset')),
        committable: number('committable'),
      };
    case 'request-failed':
      return { type: 'request-failed', connectionLost: command.maybe('connection') === 'lost' };
    case 'moved':
      return { type: 'moved', to: number('to'), reset: command.maybe('by') === 'operator' };
    case 'rewind':
      return { type: 'rewind', to: number('to') };
    case 'store':
      return { type: 'store', offset: number('offset') };
    case 'check-due':
    case 'reset-unresolved':
    case 'written':
    case 'write-dropped':
    case 'connection-lost':
      return { type: command.word };
    default:
      throw new Error(`unknown command: ${command.text}`);
  }
}

function describeOffsets(state: OffsetState): string {
  const { confirmed, unconfirmed, position, connectionLost, request } = state;
  return [
    `${position} confirmed=${confirmed ?? NONE}`,
    unconfirmed === undefined ? '' : ` unconfirmed=${unconfirmed}`,
    connectionLost ? ' connection-lost' : '',
    request === undefined ? '' : ` waiting-for=${request.kind}`,
    request?.outdated === true ? ' (outdated)' : '',
  ].join('');
}

function describeOffsetAction(action: OffsetAction): string {
  switch (action.type) {
    case 'read':
      return '> read the stored offset';
    case 'write':
      return `> write ${action.offset}`;
    case 'restart':
      return `> drop all messages, pull from ${action.at}`;
    case 'pull-from-master':
      return '> pull from the master';
    case 'report': {
      const { kind, ...facts } = action.finding;
      const told = Object.entries(facts).map(([name, value]) => ` ${name}=${value ?? NONE}`);
      return `> report ${kind}${told.join('')}`;
    }
  }
}

function lifecycleEvent(command: Command): LifecycleEvent {
  switch (command.word) {
    case 'stop':
      return {
        type: 'stop',
        reason: command.arg('reason') as Exclude<DrainReason, 'lease-lost'>,
      };
    case 'abort-handlers':
      return { type: 'abort-handlers' };
    case 'lease-lost':
      return { type: 'lease-lost', takenOver: command.maybe('by') === 'another-holder' };
    default:
      throw new Error(`unknown command: ${command.text}`);
  }
}

function describeLifecycleAction(action: LifecycleAction): string {
  if (action.type === 'abort') return `> abort ${action.what.join(', ')}`;
  const { level, message } = stopPolicy(action.reason);
  return `> log ${level}: ${message}`;
}
