import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allocateGroup } from '../../src/decide/assignment/allocate-group.ts';
import { type PlanChange, planChanges, queueOf } from '../../src/decide/assignment/plan-changes.ts';
import { afterPoll, changePolls, type PollOutcome } from '../../src/decide/dispatch/idle-polls.ts';
import {
  type DispatchRules,
  type Invoked,
  type QueueFacts,
  standing,
  whichToInvoke,
} from '../../src/decide/dispatch/which-to-invoke.ts';
import { wholeSlots } from '../../src/decide/dispatch/whole-slots.ts';
import { missingPauses } from '../../src/decide/state/missing-pauses.ts';
import type { Assignment, StandingPause } from '../../src/model/assignment.ts';
import { FOREIGN_SLOT } from '../../src/model/membership.ts';
import { type MessageQueue, queueKey } from '../../src/model/message-queue.ts';
import { assignment, lease } from '../support/assignments.ts';
import { type Command, runTranscript } from '../support/transcript.ts';

describe('transcripts of the coordinator', () => {
  test('assignments', async () => {
    let table = new Table();
    await runTranscript('assignments', (command) => {
      if (command.word === 'begin') {
        table = new Table();
        return `slots: ${command.arg('slots')}${table.begin(command)}`;
      }
      return table.run(command);
    });
  });

  test('dispatch', async () => {
    let world = new Dispatching({});
    await runTranscript('dispatch', (command) => {
      if (command.word === 'begin') {
        world = new Dispatching(rulesOf(command));
        return command.text.slice('begin'.length).trim() || 'one invocation per queue';
      }
      return world.run(command);
    });
  });

  test('keep-pauses', async () => {
    let pauses: StandingPause[] = [];
    let items: Assignment[] = [];
    await runTranscript('keep-pauses', (command) => {
      const key = () => queueAt(command.arg('queue'));
      switch (command.word) {
        case 'begin':
          pauses = [];
          items = [];
          return 'no pause, no queue';
        case 'pause': {
          const [scope, until] = [command.arg('scope'), seconds(command.arg('until'))];
          pauses = [
            ...pauses.filter((one) => one.scope !== scope),
            { scope, until, since: 0, reason: 'x' },
          ];
          return `${scope === '*' ? 'the whole group' : scope} rests until ${command.arg('until')}`;
        }
        case 'queue':
          items.push(assignment(0, { queue: key() }));
          return `${items.length} queues`;
        case 'pass': {
          const missing = missingPauses(items, pauses, seconds(command.arg('at')));
          items = items.map((item) => ({
            ...item,
            ...missing
              .filter(({ queue }) => queue === item.queue)
              .map(({ pause }) => ({ operatorPause: pause }))[0],
          }));
          return lines(
            missing.map(
              ({ queue, pause }) => `> pause ${queueKey(queue)} until ${pause.until / 1000}s`,
            ),
          );
        }
        default:
          throw new Error(`unknown command: ${command.text}`);
      }
    });
  });

  test('idle-watch', async () => {
    let polls = new Map<string, bigint>();
    await runTranscript('idle-watch', (command) => {
      if (command.word === 'begin') {
        polls = new Map();
        return 'no poll';
      }
      if (command.word !== 'watch') return `> ${afterPoll(pollOutcome(command))}`;
      const wanted = new Map(
        command.text
          .split(/\s+/)
          .slice(1)
          .map((part) => part.split('@') as [string, string])
          .map(([key, offset]) => [key, BigInt(offset)]),
      );
      const { stop, start } = changePolls(polls, wanted);
      polls = wanted;
      return lines([
        ...stop.map((key) => `> stop the poll of ${key}`),
        ...start.map((key) => `> poll ${key} at ${wanted.get(key)}`),
      ]);
    });
  });
});

function lines(all: readonly string[]): string {
  return all.length === 0 ? 'nothing to do' : all.join('\n');
}

/** `90s` as milliseconds. */
function seconds(text: string): number {
  return Number.parseFloat(text) * 1000;
}

/** `orders/broker-a/0`. */
function queueAt(key: string): MessageQueue {
  const [topic = '', brokerName = '', id = ''] = key.split('/');
  return { topic, brokerName, queueId: Number(id) };
}

/** The items of one group, and the routes of its topics. */
class Table {
  #items = new Map<string, Assignment>();
  #routes = new Map<string, ReadonlyMap<string, number>>();
  readonly #unknown = new Set<string>();
  readonly #away = new Set<string>();
  #slots: number | 'queue' = 1;
  #strategy: 'AVG' | 'AVG_BY_CIRCLE' | 'CONSISTENT_HASH' = 'AVG';

  begin(command: Command): string {
    this.#setSlots(command.arg('slots'));
    this.#strategy = (command.maybe('strategy') ?? 'AVG') as 'AVG';
    return `, strategy ${this.#strategy}`;
  }

  run(command: Command): string {
    switch (command.word) {
      case 'slots':
        this.#setSlots(command.arg('count'));
        return `${this.#slots} slots`;
      case 'route': {
        const topic = command.arg('topic');
        const brokers = command.text
          .split(/\s+/)
          .map((part) => part.split('=') as [string, string])
          .filter(([name]) => name.startsWith('broker-'))
          .map(([name, count]): [string, number] => [name, Number(count)]);
        this.#unknown.delete(topic);
        this.#routes.set(topic, new Map(brokers));
        return brokers.length === 0
          ? `${topic} does not exist`
          : brokers.map(([name, count]) => `${topic} has ${count} queues on ${name}`).join('\n');
      }
      case 'route-unreadable':
        this.#unknown.add(command.arg('topic'));
        return 'no name server answers';
      case 'broker-away':
        this.#away.add(command.arg('name'));
        return 'its queues are in no route, and no name server lists it';
      case 'broker-back':
        this.#away.delete(command.arg('name'));
        return 'its queues are in the routes again';
      case 'pass':
        return this.#pass(seconds(command.arg('at')));
      default:
        throw new Error(`unknown command: ${command.text}`);
    }
  }

  #setSlots(text: string): void {
    this.#slots = text === 'per-queue' ? 'queue' : Number(text);
  }

  #pass(now: number): string {
    const stored = [...this.#items.values()];
    const queues = new Map(
      [...this.#routes]
        .filter(([topic]) => !this.#unknown.has(topic))
        .map(([topic, brokers]) => [
          topic,
          [...brokers]
            .filter(([brokerName]) => !this.#away.has(brokerName))
            .flatMap(([brokerName, count]) =>
              Array.from({ length: count }, (_, queueId) => ({ topic, brokerName, queueId })),
            ),
        ]),
    );
    const options = { pullers: this.#slots, strategy: { name: this.#strategy } };
    const allocation = allocateGroup({ queues, unknown: this.#unknown }, stored, options, now);
    const { wanted, undecided } = allocation;
    const changes = planChanges(wanted, stored, undecided, now, (name) => this.#away.has(name));
    const told = changes.flatMap((change) => this.#apply(change, now));
    return [...told, ...this.#bySlot()].join('\n');
  }

  #apply(change: PlanChange, now: number): string[] {
    const key = queueKey(queueOf(change));
    const item =
      change.kind === 'create' ? assignment(0, { queue: change.queue }) : change.assignment;
    const { absentSince: _absent, retiredAt: _retired, ...present } = item;
    switch (change.kind) {
      case 'create':
      case 'revive':
      case 'move':
        this.#items.set(key, { ...(change.kind === 'move' ? item : present), slot: change.slot });
        return [
          `> ${change.kind} ${key} ${change.kind === 'create' ? 'in' : 'to'} slot ${change.slot}`,
        ];
      case 'miss':
        this.#items.set(key, { ...item, absentSince: now });
        return [`> note ${key} as missing`];
      case 'find':
        this.#items.set(key, present);
        return [`> note ${key} as found`];
      case 'retire':
        this.#items.set(key, { ...item, retiredAt: now });
        return [`> retire ${key}`];
      case 'keep':
        return [];
    }
  }

  #bySlot(): string[] {
    const live = [...this.#items.values()].filter(({ retiredAt }) => retiredAt === undefined);
    return [...Map.groupBy(live, ({ slot }) => slot)]
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(
        ([slot, items]) =>
          `slot ${slot}: ${items
            .map(({ queue }) => queueKey(queue))
            .sort()
            .join(' ')}`,
      );
  }
}

type Options = DispatchRules & { readonly pullers?: number; readonly limited?: boolean };

function rulesOf(command: Command): Options {
  const [pullers, settings, lag, age] = ['pullers', 'settings', 'lag', 'age'].map(command.maybe);
  return {
    ...(pullers === undefined ? {} : { pullers: Number(pullers) }),
    ...(settings === undefined ? {} : { settings }),
    ...(command.maybe('always') === 'yes' ? { always: true } : {}),
    ...(command.maybe('one-invocation-per-slot') === 'yes' ? { limited: true } : {}),
    ...(lag === undefined || age === undefined
      ? {}
      : { activation: { lagThreshold: BigInt(lag), maxMessageAgeMs: seconds(age) } }),
  };
}

/** The queues of a group, what brokers say of them, and what was invoked before. */
class Dispatching {
  readonly #options: Options;
  readonly #items = new Map<string, Assignment>();
  readonly #facts = new Map<string, QueueFacts>();
  readonly #invoked = new Map<string, Invoked>();

  constructor(options: Options) {
    this.#options = options;
  }

  run(command: Command): string {
    switch (command.word) {
      case 'queue':
        return this.#queue(command.arg('name'), command);
      case 'broker':
        return this.#broker(command.arg('queue'), command);
      case 'look':
        return this.#look(seconds(command.arg('at')));
      default:
        throw new Error(`unknown command: ${command.text}`);
    }
  }

  #queue(name: string, command: Command): string {
    const at = (field: string) => {
      const text = command.maybe(field);
      return text === undefined ? undefined : seconds(text);
    };
    const [heldUntil, endsAt] = [at('lease-until'), at('holder-ends')];
    const [pausedUntil, retiredAt, absentSince] = ['paused-until', 'retired', 'missing-since'].map(
      at,
    );
    const slot =
      command.maybe('slot') === 'foreign' ? FOREIGN_SLOT : Number(command.maybe('slot') ?? 0);
    const heldBy = command.maybe('held-by-slot');
    const settings = command.maybe('holder-settings');
    const item = assignment(0, {
      queue: queueAt(name),
      slot,
      fence: Number(command.maybe('fence') ?? 1),
      ...(pausedUntil === undefined ? {} : { pausedUntil }),
      ...(retiredAt === undefined ? {} : { retiredAt }),
      ...(absentSince === undefined ? {} : { absentSince }),
      ...(command.maybe('successor-until') === undefined
        ? {}
        : { successor: { holder: 'next', until: at('successor-until') ?? 0 } }),
      ...(heldUntil === undefined
        ? {}
        : {
            lease: lease({
              slot: heldBy === undefined ? Number(slot) : Number(heldBy),
              leaseUntil: heldUntil,
              endsAt: endsAt ?? 900_000,
              ...(settings === undefined ? {} : { settings }),
            }),
          }),
    });
    this.#items.set(name, item);
    return heldUntil === undefined ? 'no lease' : `leased until ${command.arg('lease-until')}`;
  }

  #broker(name: string, command: Command): string {
    const [committed, max, since] = ['committed', 'max', 'waiting-since'].map(command.maybe);
    if (committed === undefined && max === undefined && command.maybe('offset') !== 'none') {
      this.#facts.delete(name);
      return 'does not answer';
    }
    this.#facts.set(name, {
      committed: committed === undefined ? undefined : BigInt(committed),
      max: max === undefined ? undefined : BigInt(max),
      ...(since === undefined ? {} : { waitingSince: seconds(since) }),
    });
    return committed === undefined
      ? 'the group has no offset'
      : `${BigInt(max ?? committed) - BigInt(committed)} messages to do`;
  }

  #look(now: number): string {
    const { pullers, limited = false, ...rules } = this.#options;
    const items = [...this.#items.values()];
    const chosen = whichToInvoke(items, this.#facts, this.#invoked, pullers ?? 'queue', now, rules);
    const { requests, idle } = limited
      ? wholeSlots(chosen, items, this.#invoked, now, rules)
      : chosen;
    for (const key of requests.flatMap(({ queues }) => queues.map(queueKey)))
      this.#invoked.set(key, {
        at: now,
        fence: this.#items.get(key)?.fence ?? 0,
        committed: this.#facts.get(key)?.committed,
      });
    assert.ok(requests.every(({ queues }) => queues.length > 0));
    return [
      ...items.map((item) => `${queueKey(item.queue)} is ${standing(item, now, rules)}`),
      ...requests.map(
        ({ slot, queues }) => `> invoke slot ${slot}: ${queues.map(queueKey).join(' ')}`,
      ),
      ...idle.map(({ queue }) => `> watch ${queueKey(queue)}`),
    ].join('\n');
  }
}

function pollOutcome(command: Command): PollOutcome {
  switch (command.word) {
    case 'pulled':
      return { type: 'pulled', status: command.arg('status') };
    case 'asked':
      return {
        type: 'asked',
        hasMessages: command.arg('messages') === 'yes',
        tookMs: seconds(command.arg('took')),
      };
    case 'unreachable':
    case 'refused':
      return { type: command.word };
    default:
      throw new Error(`unknown command: ${command.text}`);
  }
}
