import type { RocketMQEvent, RocketMQRecord } from '../../src/model/event.ts';
import type { Random } from '../kernel/random.ts';
import type { Host } from '../kernel/scheduler.ts';
import type { Behaviour, Plan } from '../plan.ts';
import type { Delivery } from './events.ts';
import type { Ledger } from './ledger.ts';

/** What one handler call comes to, decided when it begins. */
export interface HandlerScript {
  readonly deliveries: readonly Delivery[];
  readonly durationMs: number;
  readonly end: 'answers' | 'throws' | 'dies' | 'runs-on';
  /** Of what it throws. Default: Error. */
  readonly errorType?: string;
  /** `{ batchItemFailures }` */
  readonly answer: unknown;
}

/** One record of a call. */
interface Treated {
  readonly record: RocketMQRecord;
  readonly treatment: Behaviour['kind'];
  readonly delivery: Delivery;
}

/**
 * The user's handlers: each message is treated as its plan says, by its number. Some handlers of
 * ordered events stop at their first failure, and name that one alone.
 */
export class Handlers {
  readonly #behaviours: ReadonlyMap<number, Behaviour>;
  readonly #failures = new Map<number, number>();
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #handlerMs: Plan['handlerMs'];
  readonly #callFailures: Plan['callFailures'];
  /** Epoch ms. */
  readonly #start: number;

  constructor(
    { messages, handlerMs, callFailures }: Plan,
    ledger: Ledger,
    random: Random,
    start: number,
  ) {
    this.#handlerMs = handlerMs;
    this.#callFailures = callFailures;
    this.#start = start;
    this.#behaviours = new Map(messages.map(({ number, behaviour }) => [number, behaviour]));
    this.#ledger = ledger;
    this.#random = random;
  }

  script(
    event: Pick<RocketMQEvent, 'Records'> & Partial<RocketMQEvent>,
    puller: Host,
    now: number,
  ): HandlerScript {
    const records = event.Records.flatMap((record) => {
      const position = this.#ledger.recordAt(
        record.receiptHandle,
        record.body,
        record.rocketmq.reconsumeTimes,
      );
      return position === undefined ? [] : [{ record, position }];
    });
    const order = event.rocketmqBatch?.order;
    const stops = this.#random.chance(0.3) && order !== undefined && !this.#blamesAll;
    const treated: Treated[] = [];
    for (const { record, position } of records) {
      const treatment = this.#treat(position.number);
      treated.push({ record, treatment, delivery: deliveryOf(record, position, puller, now) });
      if (stops && (treatment === 'fails' || treatment === 'dropped')) break;
    }
    const end = this.#failsNow(now) ? 'throws' : endOf(treated);
    const blamed = this.#blame(treated, end);
    return {
      deliveries: treated.map(({ delivery }) => delivery),
      durationMs: this.#random.int(
        ...(this.#handlerMs ?? ([2, this.#random.chance(0.1) ? 2_000 : 150] as const)),
      ),
      end: blamed === 'throws' ? 'throws' : end,
      ...(blamed === 'throws' && { errorType: 'FullBatchFailureError' }),
      answer: {
        batchItemFailures: treated.flatMap(({ record, treatment }) =>
          treatment === 'fails' || blamed === 'names'
            ? [{ itemIdentifier: record.messageId }]
            : treatment === 'dropped'
              ? [{ itemIdentifier: record.messageId, action: 'drop' }]
              : [],
        ),
        ...(order === 'key' && !stops && { othersDone: true }),
      },
    };
  }

  get #blamesAll(): boolean {
    return this.#callFailures?.kind === 'blames-all';
  }

  /** Does the call fail, whatever is in it? */
  #failsNow(now: number): boolean {
    const failures = this.#callFailures;
    if (failures?.kind === 'away') return now < this.#start + failures.untilMs;
    return failures?.kind === 'sometimes' && this.#random.chance(failures.chance);
  }

  /** Gives the deliveries their outcomes. @returns how a tool says of all of them that they failed; undefined: it does not */
  #blame(treated: readonly Treated[], end: HandlerScript['end']): 'names' | 'throws' | undefined {
    const failures = this.#callFailures;
    const blames =
      failures?.kind === 'blames-all' &&
      end === 'answers' &&
      treated.some(({ treatment }) => treatment === 'fails');
    for (const { treatment, delivery } of treated) {
      delivery.outcome = blames ? 'failed' : outcomeOf(treatment, end);
      // A tool speaks of each message.
      delivery.failedWithCall = end !== 'answers';
    }
    return blames ? failures.how : undefined;
  }

  /** What happens to the message this time; the failure is counted. */
  #treat(number: number): Behaviour['kind'] {
    const behaviour = this.#behaviours.get(number) ?? { kind: 'ok' };
    if (behaviour.kind === 'ok' || behaviour.kind === 'dropped') return behaviour.kind;
    const failures = this.#failures.get(number) ?? 0;
    if (failures >= behaviour.times) return 'ok';
    this.#failures.set(number, failures + 1);
    return behaviour.kind;
  }
}

function endOf(treated: readonly Treated[]): HandlerScript['end'] {
  const has = (kind: Behaviour['kind']): boolean =>
    treated.some(({ treatment }) => treatment === kind);
  if (has('kills')) return 'dies';
  if (has('times-out')) return 'runs-on';
  return has('throws') ? 'throws' : 'answers';
}

function outcomeOf(treatment: Behaviour['kind'], end: HandlerScript['end']): Delivery['outcome'] {
  if (end !== 'answers') return end === 'throws' ? 'failed' : 'none';
  if (treatment === 'fails') return 'failed';
  return treatment === 'dropped' ? 'dropped' : 'ok';
}

function deliveryOf(
  record: RocketMQRecord,
  position: Delivery['position'],
  puller: Host,
  startedAt: number,
): Delivery {
  return {
    position,
    puller,
    startedAt,
    told: record.rocketmq.reconsumeTimes,
    endedAt: undefined,
    outcome: undefined,
    failedWithCall: false,
    isBehindFailure: false,
  };
}
