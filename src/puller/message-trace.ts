import { TopicNotFoundError } from '../errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import type { TraceRecord } from '../records/trace-data.ts';
import { waitAtMost } from './wait-at-most.ts';

/** Takes records of deliveries and brings them to the trace topic, sooner or later. What goes wrong with it is logged and never harms a delivery. */
export interface MessageTrace {
  append(records: readonly TraceRecord[]): void;
  /** Sends what is left; resolves when it is sent or given up, within `withinMs`. */
  flush(withinMs: number): Promise<void>;
}

/** AsyncTraceDispatcher's: contexts in one message, longest wait, largest body. */
const BATCH_CONTEXTS = 20;
const FLUSH_AFTER_MS = 5_000;
const MAX_BODY_BYTES = 128_000;
/** Properties may take 32,767 bytes. */
const MAX_KEYS_BYTES = 24_000;
/** Records beyond are dropped: a trace topic that is slower than the deliveries must not fill the memory. */
const MAX_WAITING = 20_000;
/** The same for their bytes, also of those that are being sent: KEYS are up to 32 KiB of a producer's. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;
const MOST_SENDS = 4;
const SEND_TIMEOUT_MS = 5_000;

export function createMessageTrace(
  deps: { readonly client: RocketMQ; readonly clock: Clock; readonly logger: Logger },
  topic: string,
): MessageTrace {
  return new TraceDispatcher(deps.client, deps.clock, deps.logger, topic);
}

/** A record as bytes of its own: a text may hold all properties of its message. */
interface HeldRecord {
  readonly data: Buffer;
  /** Divided by blanks. */
  readonly keys: Buffer;
}

/** Mirrors AsyncTraceDispatcher, without threads. */
class TraceDispatcher implements MessageTrace {
  readonly #client: RocketMQ;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #topic: string;
  #waiting: HeldRecord[] = [];
  /** Of those that wait or are being sent. */
  #heldBytes = 0;
  #contexts = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #sending = new Set<Promise<void>>();
  #lost = 0;
  #closed = false;

  constructor(client: RocketMQ, clock: Clock, logger: Logger, topic: string) {
    this.#client = client;
    this.#clock = clock;
    this.#logger = logger.child({ traceTopic: topic });
    this.#topic = topic;
  }

  append(records: readonly TraceRecord[]): void {
    if (records.length === 0) return;
    if (this.#closed || this.#waiting.length + records.length > MAX_WAITING) {
      this.#lost += records.length;
      return;
    }
    for (const record of records) if (!this.#hold(record)) this.#lost++;
    this.#contexts++;
    if (this.#contexts >= BATCH_CONTEXTS) this.#sendWaiting();
    else this.#timer ??= setTimeout(() => this.#sendWaiting(), FLUSH_AFTER_MS).unref();
  }

  #hold({ data, keys }: TraceRecord): boolean {
    const held = { data: Buffer.from(data), keys: Buffer.from(keys.join(' ')) };
    const bytes = bytesOf([held]);
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return false;
    this.#heldBytes += bytes;
    this.#waiting.push(held);
    return true;
  }

  async flush(withinMs: number): Promise<void> {
    const sent = async (): Promise<void> => {
      for (this.#sendWaiting(); this.#sending.size > 0; this.#sendWaiting())
        await Promise.race(this.#sending);
    };
    await waitAtMost(this.#clock, withinMs, sent());
    clearTimeout(this.#timer);
    this.#dropWaiting();
    if (this.#lost > 0)
      this.#logger.warn(
        { lost: this.#lost, unconfirmed: this.#sending.size, code: 'ROCKETMQ_TRACE_LOST' },
        'traces were lost; deliveries are not concerned',
      );
    this.#lost = 0;
  }

  #dropWaiting(): void {
    this.#lost += this.#waiting.length;
    this.#heldBytes -= bytesOf(this.#waiting);
    this.#waiting = [];
  }

  /** Begins as many sends as may be under way. */
  #sendWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#contexts = 0;
    while (this.#waiting.length > 0 && this.#sending.size < MOST_SENDS) {
      const records = this.#waiting.splice(0, fitting(this.#waiting));
      const send = this.#send(records)
        .catch((error: unknown) => this.#noteLost(records, error))
        .finally(() => {
          this.#sending.delete(send);
          this.#heldBytes -= bytesOf(records);
          if (this.#waiting.length > 0) this.#sendWaiting();
        });
      this.#sending.add(send);
    }
  }

  async #send(records: readonly HeldRecord[]): Promise<void> {
    const body = Buffer.concat(records.map(({ data }) => data));
    const all = records.flatMap((record) => String(record.keys).split(' '));
    const keys = [...new Set(all)].filter((key) => key !== '');
    await this.#client.send(
      { topic: this.#topic, body, keys, properties: { WAIT: 'true' } },
      { timeoutMs: SEND_TIMEOUT_MS },
    );
  }

  #noteLost(records: readonly HeldRecord[], error: unknown): void {
    this.#lost += records.length;
    if (!(error instanceof TopicNotFoundError) || this.#closed) {
      const fields = { err: error, records: records.length, code: 'ROCKETMQ_TRACE_LOST' };
      this.#logger.warn(fields, 'traces could not be sent');
      return;
    }
    this.#closed = true;
    this.#dropWaiting();
    this.#logger.warn(
      { err: error, code: 'ROCKETMQ_TRACE_TOPIC' },
      'there is no trace topic: set traceTopicEnable=true on a broker, name another topic (trace: { topic }), or leave trace out',
    );
  }
}

/** How many of the records, at least one, go into a message. */
function fitting(records: readonly HeldRecord[]): number {
  let body = 0;
  let keys = 0;
  for (const [index, record] of records.entries()) {
    body += record.data.length;
    keys += record.keys.length + 1;
    if (index > 0 && (body > MAX_BODY_BYTES || keys > MAX_KEYS_BYTES)) return index;
  }
  return records.length;
}

function bytesOf(records: readonly HeldRecord[]): number {
  return records.reduce((sum, { data, keys }) => sum + data.length + keys.length, 0);
}
