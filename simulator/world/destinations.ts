import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { createS3Destination } from '../../src/destinations/s3.ts';
import { createSqsDestination } from '../../src/destinations/sqs.ts';
import type { FailureRecord } from '../../src/model/failure.ts';
import type { FailureDestinations } from '../../src/ports/failure-destination.ts';
import { currentHost } from '../kernel/globals.ts';
import type { Random } from '../kernel/random.ts';
import { createHost, type Host, type Scheduler } from '../kernel/scheduler.ts';

/** What happens to one attempt of a request. */
export type DestinationFate = 'carried-out' | 'throttled' | 'lost' | 'answer-lost' | 'hangs';

/** As src/destinations/client-settings configures the SDK. */
const ATTEMPTS = 3;
const REQUEST_TIMEOUT_MS = 3_000;

/** An SQS queue and a bucket for `onFailure`, with the SDK's repetitions in front of them. */
export class Destinations {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #place: Host = createHost('destinations');
  readonly #fateOf: (host: Host) => DestinationFate;
  readonly #stored: (record: FailureRecord) => void;

  constructor(
    scheduler: Scheduler,
    random: Random,
    hooks: {
      readonly fateOf: (host: Host) => DestinationFate;
      readonly stored: (record: FailureRecord) => void;
    },
  ) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#fateOf = hooks.fateOf;
    this.#stored = hooks.stored;
  }

  /** What a puller gets. */
  clients(): FailureDestinations {
    const config = { region: async () => 'eu-central-1' };
    const send = (
      { input }: { readonly input: { MessageBody?: string; Body?: string } },
      { abortSignal }: { readonly abortSignal?: AbortSignal } = {},
    ) =>
      this.#send(JSON.parse(input.MessageBody ?? input.Body ?? '') as FailureRecord, abortSignal);
    return {
      sqs: createSqsDestination({ config, send } as unknown as SQSClient),
      s3: createS3Destination({ config, send } as unknown as S3Client),
    };
  }

  /** An abort ends it as the SDK does: nothing is left of it. */
  async #send(record: FailureRecord, signal: AbortSignal | undefined): Promise<object> {
    const host = currentHost();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(record, host, signal);
      } catch (error) {
        if (attempt === ATTEMPTS || signal?.aborted === true) throw error;
        await waitOrAbort(this.#random.int(25, 100 * attempt), signal);
      }
    }
  }

  #attempt(record: FailureRecord, host: Host, signal: AbortSignal | undefined): Promise<object> {
    if (signal?.aborted === true) return Promise.reject(named('AbortError'));
    const fate = this.#fateOf(host);
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    const fail = (name: string): void => reject(named(name));
    const timer = setTimeout(() => fail('TimeoutError'), REQUEST_TIMEOUT_MS);
    if (fate === 'hangs') clearTimeout(timer);
    const onAbort = (): void => {
      clearTimeout(timer);
      fail('AbortError');
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (fate === 'lost' || fate === 'hangs') return promise;
    // What was sent arrives whatever becomes of its sender.
    this.#scheduler.schedule(this.#random.int(1, 20), this.#place, () => {
      if (fate !== 'throttled') this.#stored(record);
      if (fate === 'answer-lost') return;
      this.#scheduler.schedule(this.#random.int(1, 20), host, () => {
        clearTimeout(timer);
        if (fate === 'throttled') fail('ThrottlingException');
        else resolve({});
      });
    });
    return promise;
  }
}

function named(name: string): Error {
  return Object.assign(new Error(name), { name });
}

function waitOrAbort(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const onAbort = (): void => {
      clearTimeout(timer);
      resolve();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
