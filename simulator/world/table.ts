import {
  type AttributeValue,
  DynamoDBClient,
  type GetItemCommandInput,
  type QueryCommandInput,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb';
import { currentHost } from '../kernel/globals.ts';
import type { Random } from '../kernel/random.ts';
import type { Host, Scheduler } from '../kernel/scheduler.ts';
import { holds, type Item, updated } from './expressions.ts';

/** What happens to one attempt of a request. `late`: it arrives, and its answer comes after the client gave it up. */
export type TableFate = 'carried-out' | 'throttled' | 'lost' | 'answer-lost' | 'late';

export interface TableHooks {
  fateOf(command: string, client: Host): TableFate;
  /** An item as it is after a write. */
  written(before: Item | undefined, after: Item, by: Host): void;
}

/** As src/runtime/aws-clients configures the SDK. */
const ATTEMPTS = 4;
const REQUEST_TIMEOUT_MS = 2_000;
/** How long an eventually consistent read may lag behind. */
const STALE_MS = 1_000;

interface Version {
  readonly at: number;
  readonly item: Item;
}

class TableError extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** One DynamoDB table: conditional writes of one item at a time, consistent and eventual reads, and the SDK's repetitions in front of it. */
export class Table {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #hooks: TableHooks;
  readonly #items = new Map<string, Version[]>();
  /** Nothing is carried out or answered until then, epoch ms. */
  downUntil = 0;

  constructor(scheduler: Scheduler, random: Random, hooks: TableHooks) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#hooks = hooks;
  }

  /** What createAssignmentStore takes. */
  client(): DynamoDBClient {
    const client = Object.create(DynamoDBClient.prototype) as DynamoDBClient;
    return Object.assign(client, {
      send: (command: {
        readonly input: object;
        readonly constructor: { readonly name: string };
      }) => this.#send(command.constructor.name, command.input),
      destroy: () => {},
    });
  }

  items(): Item[] {
    return [...this.#items.values()].map((versions) => versions[versions.length - 1]!.item);
  }

  async #send(command: string, input: object): Promise<object> {
    const host = currentHost();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(command, input, host);
      } catch (error) {
        const { name } = error as Error;
        if (name !== 'TimeoutError' && name !== 'ThrottlingException') throw error;
        if (attempt === ATTEMPTS) throw error;
        await this.#sleep(this.#random.int(25, 100 * attempt));
      }
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  #attempt(command: string, input: object, host: Host): Promise<object> {
    const fate = this.#hooks.fateOf(command, host);
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    const timer = setTimeout(
      () => reject(new TableError('TimeoutError', `no answer within ${REQUEST_TIMEOUT_MS} ms`)),
      REQUEST_TIMEOUT_MS,
    );
    const answer = (settle: () => void): void => {
      this.#scheduler.schedule(this.#random.int(1, 5), host, () => {
        clearTimeout(timer);
        settle();
      });
    };
    if (fate === 'lost') return promise;
    const downMs = Math.max(0, this.downUntil - this.#scheduler.now);
    const lateMs = fate === 'late' ? this.#random.int(500, 4_000) : 0;
    // The table is a place of its own: what was sent arrives whatever becomes of its sender.
    this.#scheduler.schedule(downMs + lateMs + this.#random.int(1, 5), this.#place, () => {
      if (fate === 'throttled')
        return answer(() =>
          reject(new TableError('ThrottlingException', 'throughput exceeds the current capacity')),
        );
      try {
        const result = this.#carryOut(command, input, host);
        if (fate !== 'answer-lost') answer(() => resolve(result));
      } catch (error) {
        answer(() => reject(error));
      }
    });
    return promise;
  }

  readonly #place: Host = {
    name: 'table',
    skewMs: 0,
    state: 'running',
    deferred: [],
    timers: new Set(),
  };

  #carryOut(command: string, input: object, by: Host): object {
    switch (command) {
      case 'GetItemCommand':
        return this.#get(input as GetItemCommandInput);
      case 'QueryCommand':
        return this.#query(input as QueryCommandInput);
      case 'UpdateItemCommand':
        return this.#update(input as UpdateItemCommandInput, by);
      default:
        throw new TableError('ValidationException', `the simulated table has no ${command}`);
    }
  }

  #read(key: string, consistent: boolean): Item | undefined {
    const versions = this.#items.get(key) ?? [];
    if (consistent) return versions[versions.length - 1]?.item;
    const seen = this.#scheduler.now - this.#random.int(0, STALE_MS);
    return versions.findLast(({ at }) => at <= seen)?.item;
  }

  #get({ Key, ConsistentRead }: GetItemCommandInput): object {
    return { Item: this.#read(keyOf(Key!), ConsistentRead === true) };
  }

  #query({ ExpressionAttributeValues: values, ConsistentRead }: QueryCommandInput): object {
    const pk = values![':pk']!.S!;
    const prefix = values![':prefix']?.S ?? '';
    const keys = [...this.#items.keys()].filter((key) => key.startsWith(`${pk}\n${prefix}`));
    return {
      Items: keys
        .sort()
        .map((key) => this.#read(key, ConsistentRead === true))
        .filter((item) => item !== undefined),
    };
  }

  #update(input: UpdateItemCommandInput, by: Host): object {
    const key = keyOf(input.Key!);
    const before = this.#read(key, true);
    const given = {
      names: input.ExpressionAttributeNames ?? {},
      values: input.ExpressionAttributeValues ?? {},
    };
    if (input.ConditionExpression && !holds(input.ConditionExpression, before, given))
      throw new TableError('ConditionalCheckFailedException', 'The conditional request failed');
    const after = updated(input.UpdateExpression ?? '', before ?? { ...input.Key }, given);
    const { now } = this.#scheduler;
    const kept = (this.#items.get(key) ?? []).filter(
      ({ at }, index, all) => at > now - STALE_MS || index === all.length - 1,
    );
    this.#items.set(key, [...kept, { at: now, item: after }]);
    this.#hooks.written(before, after, by);
    return { Attributes: after };
  }
}

function keyOf(key: Record<string, AttributeValue>): string {
  return `${key.pk?.S}\n${key.sk?.S}`;
}
