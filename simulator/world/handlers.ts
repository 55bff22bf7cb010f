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
  /** `{ batchItemFailures }` */
  readonly answer: unknown;
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

  constructor({ messages, handlerMs }: Plan, ledger: Ledger, random: Random) {
    this.#handlerMs = handlerMs;
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
    const stops = order !== undefined && this.#random.chance(0.3);
    const treated: { record: RocketMQRecord; treatment: Behaviour['kind']; delivery: Delivery }[] =
      [];
    for (const { record, position } of records) {
      const treatment = this.#treat(position.number);
      treated.push({ record, treatment, delivery: deliveryOf(record, position, puller, now) });
      if (stops && (treatment === 'fails' || treatment === 'dropped')) break;
    }
    const has = (kind: Behaviour['kind']): boolean =>
      treated.some(({ treatment }) => treatment === kind);
    const end = has('kills')
      ? 'dies'
      : has('times-out')
        ? 'runs-on'
        : has('throws')
          ? 'throws'
          : 'answers';
    for (const { treatment, delivery } of treated)
      delivery.outcome =
        end === 'answers'
          ? treatment === 'fails'
            ? 'failed'
            : treatment === 'dropped'
              ? 'dropped'
              : 'ok'
          : end === 'throws'
            ? 'failed'
            : 'none';
    for (const { delivery } of treated) delivery.failedWithCall = end !== 'answers';
    const batchItemFailures = treated.flatMap(({ record, treatment }) =>
      treatment === 'fails'
        ? [{ itemIdentifier: record.messageId }]
        : treatment === 'dropped'
          ? [{ itemIdentifier: record.messageId, action: 'drop' }]
          : [],
    );
    return {
      deliveries: treated.map(({ delivery }) => delivery),
      durationMs: this.#random.int(
        ...(this.#handlerMs ?? ([2, this.#random.chance(0.1) ? 2_000 : 150] as const)),
      ),
      end,
      answer:
        order === 'key' && !stops ? { batchItemFailures, othersDone: true } : { batchItemFailures },
    };
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
