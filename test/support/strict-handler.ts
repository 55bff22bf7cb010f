import { setTimeout as sleep } from 'node:timers/promises';
import type { RocketMQEvent, RocketMQRecord } from '../../src/model/event.ts';

/** Messages of one lane are numbered by their bodies: lane, lane + step, lane + 2·step … */
export interface Numbering {
  readonly step: number;
  laneOf(record: RocketMQRecord): number;
}

/** How often a message fails before it is done: some once, some twice. */
function failuresOf(body: string): number {
  return Number(body) % 7 === 3 ? 2 : Number(body) % 11 === 5 ? 1 : 0;
}

/** A handler that fails as planned, and notes when a message comes before one that is ahead of it in its lane was finished by somebody. */
export function strictHandler({ step, laneOf }: Numbering, delayMs: number) {
  const finished = new Set<string>();
  const overtaken: string[] = [];
  const failed = new Map<string, number>();
  const deliveries: RocketMQRecord[] = [];
  return {
    finished,
    overtaken,
    deliveries,
    async handler({
      Records,
    }: RocketMQEvent): Promise<{ batchItemFailures: { itemIdentifier: string }[] }> {
      const stopped = new Set<number>();
      const batchItemFailures: { itemIdentifier: string }[] = [];
      await sleep(delayMs);
      for (const record of Records) {
        deliveries.push(record);
        const { body, receiptHandle } = record;
        const lane = laneOf(record);
        if (stopped.has(lane)) continue;
        for (let before = lane; before < Number(body); before += step)
          if (!finished.has(String(before))) overtaken.push(`${body} before ${before}`);
        const times = failed.get(body) ?? 0;
        if (times < failuresOf(body)) {
          failed.set(body, times + 1);
          stopped.add(lane);
          batchItemFailures.push({ itemIdentifier: receiptHandle });
        } else finished.add(body);
      }
      return { batchItemFailures };
    },
  };
}
