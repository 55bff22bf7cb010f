import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Invocation } from '../support/lambda/local-lambda.ts';
import type { HandlerReport, Verdict } from './handler.ts';
import type { Order } from './workload.ts';

/** One delivery of one message to a handler. */
export interface Delivery {
  readonly order: Order;
  readonly seq: number;
  readonly key: string;
  /** `topic/broker/queueId` that it was pulled from: the retry topic's on a redelivery. */
  readonly queue: string;
  readonly offset: number;
  readonly reconsumeTimes: number;
  readonly requestId: string;
  /** Epoch ms at which the handler began. */
  readonly begunAt: number;
  /** Epoch ms of the verdict; undefined: the handler did not get so far. */
  endedAt: number | undefined;
  verdict: Verdict | undefined;
  /** Epoch ms at which Lambda took and answered the call, `addCallTimes` says. */
  calledAt: number;
  returnedAt: number;
}

/** A message that its producer knows as stored. */
export interface Stored {
  readonly seq: number;
  readonly queueId: number;
  readonly storedAt: number;
}

/** All that handlers and producers report while faults happen. */
export class Journal {
  readonly deliveries: Delivery[] = [];
  readonly stored = new Map<Order, Stored[]>();
  readonly #open = new Map<string, readonly Delivery[]>();
  readonly #done = new Map<Order, Set<number>>();
  readonly #dead = new Map<Order, Set<number>>();
  readonly #lastBegunAt = new Map<string, number>();
  readonly #isLastFailure: (delivery: Delivery) => boolean;
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.note(JSON.parse(Buffer.concat(chunks).toString('utf8')) as HandlerReport, Date.now());
      response.writeHead(204).end();
    });
  });

  /** @param isLastFailure of a delivery that failed: does its message go to the DLQ? */
  constructor(isLastFailure: (delivery: Delivery) => boolean) {
    this.#isLastFailure = isLastFailure;
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  note({ requestId, order, queue, records, verdicts }: HandlerReport, now: number): void {
    if (verdicts === undefined) {
      const begun = records.map((record) => ({
        ...{ order, queue, requestId, begunAt: now },
        ...{ ...record, endedAt: undefined, verdict: undefined },
        ...{ calledAt: now, returnedAt: Number.POSITIVE_INFINITY },
      }));
      this.#open.set(requestId, begun);
      this.#lastBegunAt.set(queue, now);
      this.deliveries.push(...begun);
      return;
    }
    for (const [position, delivery] of (this.#open.get(requestId) ?? []).entries()) {
      delivery.endedAt = now;
      delivery.verdict = verdicts[position];
      if (delivery.verdict === 'done') setOf(this.#done, order).add(delivery.seq);
      if (delivery.verdict === 'failed' && this.#isLastFailure(delivery))
        setOf(this.#dead, order).add(delivery.seq);
    }
    this.#open.delete(requestId);
  }

  /** @param line of ProduceSteadily */
  noteStored(order: Order, line: string): void {
    const [seq = 0, queueId = 0, , storedAt = 0] = line.split(' ').map(Number);
    const stored = this.stored.get(order) ?? [];
    stored.push({ seq, queueId, storedAt });
    this.stored.set(order, stored);
  }

  /** Adds what only Lambda knows: also calls whose process was killed have an end. */
  addCallTimes(invocations: readonly Invocation[]): void {
    const calls = new Map(invocations.map((invocation) => [invocation.requestId, invocation]));
    for (const delivery of this.deliveries) {
      const call = calls.get(delivery.requestId);
      if (call === undefined) continue;
      delivery.calledAt = call.startedAt;
      delivery.returnedAt = call.endedAt ?? Number.POSITIVE_INFINITY;
      delivery.endedAt ??= call.endedAt;
    }
  }

  /** Messages that a handler finished without failing them. */
  done(order: Order): ReadonlySet<number> {
    return setOf(this.#done, order);
  }

  /** Messages whose last allowed delivery failed. */
  dead(order: Order): ReadonlySet<number> {
    return setOf(this.#dead, order);
  }

  /** Epoch ms at which a handler was last begun with messages of the queue. */
  lastBegunAt(queue: string): number {
    return this.#lastBegunAt.get(queue) ?? 0;
  }
}

function setOf(sets: Map<Order, Set<number>>, order: Order): Set<number> {
  const found = sets.get(order) ?? new Set();
  sets.set(order, found);
  return found;
}
