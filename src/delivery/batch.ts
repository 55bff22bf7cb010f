import type { RocketMQEvent, RocketMQRecord } from '../model/event.ts';
import type { BatchPayload } from '../ports/invoke.ts';

/** Lambda takes 6 MB (6,291,556 bytes) of synchronous payload; the rest is for the event's frame. */
export const MAX_EVENT_BYTES = 6_291_556 - 1_024;

/** Collects records until the event would be too large. JSON is made once per record, and only when bytes count. */
export class BatchBuilder {
  readonly #records: RocketMQRecord[] = [];
  readonly #texts: string[] | undefined;
  readonly #maxBytes: number;
  #bytes = 0;

  /** @param maxBytes of the event as JSON; undefined for a handler in this process, which no payload limit concerns */
  constructor(maxBytes: number | undefined) {
    this.#texts = maxBytes === undefined ? undefined : [];
    this.#maxBytes = maxBytes ?? Number.POSITIVE_INFINITY;
  }

  get length(): number {
    return this.#records.length;
  }

  /** 'full': it belongs into the next event. 'too-large': no event can carry it. */
  add(record: RocketMQRecord): 'added' | 'full' | 'too-large' {
    if (this.#texts !== undefined) {
      const text = JSON.stringify(record);
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

  finish(rocketmqBatch: RocketMQEvent['rocketmqBatch']): BatchPayload {
    const records = this.#records;
    const texts = this.#texts ?? [];
    return {
      json: () =>
        `{"Records":[${(texts.length > 0 ? texts : records.map((record) => JSON.stringify(record))).join(',')}],"rocketmqBatch":${JSON.stringify(rocketmqBatch)}}`,
      event: () => ({ Records: records, rocketmqBatch }),
    };
  }
}
