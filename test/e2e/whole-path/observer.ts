import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type MessageQueue, queueKey } from '../../../src/model/message-queue.ts';
import type { RocketMQ } from '../../../src/ports/rocketmq.ts';
import type { BatchReport } from './handler.ts';

interface CommitSeen {
  readonly at: number;
  readonly offset: bigint;
}

/** What happened, as handlers and broker tell it: which messages were begun and finished when, and how far the group was committed when. */
export class Observer {
  readonly reports: BatchReport[] = [];
  readonly #finished = new Set<number>();
  readonly #commits = new Map<string, CommitSeen[]>();
  url = '';
  #stop: () => Promise<void> = async () => {};

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        this.#note(JSON.parse(Buffer.concat(chunks).toString('utf8')) as BatchReport);
        response.writeHead(204).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    this.#stop = async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
  }

  stop(): Promise<void> {
    return this.#stop();
  }

  #note(report: BatchReport): void {
    this.reports.push(report);
    if (report.kind === 'finished')
      for (const { seq, failed } of report.records) if (!failed) this.#finished.add(seq);
  }

  /** Different messages that a handler finished without failing them. */
  get finished(): ReadonlySet<number> {
    return this.#finished;
  }

  /** Notes how far the queue is committed now. */
  async look(client: RocketMQ, consumerGroup: string, queue: MessageQueue): Promise<void> {
    const offset = await client.queryOffset(consumerGroup, queue);
    if (offset === undefined) return;
    const key = queueKey(queue);
    const seen = this.#commits.get(key) ?? [];
    seen.push({ at: Date.now(), offset });
    this.#commits.set(key, seen);
  }

  /** Deliveries that began after the broker had confirmed an offset beyond their message: there must be none. */
  deliveriesAfterCommit(): string[] {
    return this.reports
      .filter(({ kind }) => kind === 'begun')
      .flatMap(({ at, records }) =>
        records.flatMap(({ seq, queue, offset }) => {
          const passed = (this.#commits.get(queue) ?? []).find(
            (commit) => commit.at < at && commit.offset > BigInt(offset),
          );
          return passed === undefined
            ? []
            : [
                `message ${seq} at ${queue}/${offset} was delivered ${at - passed.at} ms after ${passed.offset} was committed`,
              ];
        }),
      );
  }
}
