import type { RocketMQEvent, RocketMQRecord } from '../model/event.ts';
import type { EventFormatName } from '../model/event-formats.ts';
import type { BatchPayload } from '../ports/invoke.ts';
import { EVENT_FORMAT, type EventFormat } from './event-formats.ts';

/** Lambda takes 6 MB (6,291,556 bytes) of synchronous payload; the rest is for the event's frame. */
export const MAX_EVENT_BYTES = 6_291_556 - 1_024;

/** Collects records until the event would be too large. JSON is made once per record, and only when bytes count. */
export class BatchBuilder {
  readonly #records: RocketMQRecord[] = [];
  readonly #texts: string[] | undefined;
  readonly #maxBytes: number;
  readonly #name: EventFormatName;
  readonly #format: EventFormat;
  #bytes = 0;

  /** @param maxBytes of the event as JSON; undefined for a handler in this process, which no payload limit concerns */
  constructor(maxBytes: number | undefined, format: EventFormatName = 'sqs') {
    this.#name = format;
    this.#format = EVENT_FORMAT[format];
    this.#texts = maxBytes === undefined ? undefined : [];
    this.#maxBytes = maxBytes ?? Number.POSITIVE_INFINITY;
  }

  get length(): number {
    return this.#records.length;
  }

  /** 'full': it belongs into the next event. 'too-large': no event can carry it. */
  add(record: RocketMQRecord): 'added' | 'full' | 'too-large' {
    if (this.#texts !== undefined) {
      const text = JSON.stringify(this.#format.item(record));
      const bytes = Buffer.byteLength(text) + 1;
      if (bytes > this.#maxBytes) return 'too-large';
      if (this.#bytes + bytes > this.#maxBytes) return 'full';
      this.#bytes += bytes;
      this.#texts.push(text);
    }
    this.#records.push(record);
    return 'added';
  }

  get records(): readonly RocketMQRecord[] {
    return this.#records;
  }

  /** Of one record or more. */
  finish(rocketmqBatch: RocketMQEvent['rocketmqBatch']): BatchPayload {
    const records = this.#records;
    const texts = this.#texts ?? [];
    const { item, around } = this.#format;
    const json = (): string => {
      const [before, after] = around(records[0] as RocketMQRecord, rocketmqBatch);
      return `${before}${(texts.length > 0 ? texts : records.map((record) => JSON.stringify(item(record)))).join(',')}${after}`;
    };
    return {
      json,
      event: () =>
        this.#name === 'sqs' ? { Records: records, rocketmqBatch } : JSON.parse(json()),
    };
  }
}
