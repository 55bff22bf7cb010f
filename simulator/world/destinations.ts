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
      abortable(
        this.#send(JSON.parse(input.MessageBody ?? input.Body ?? '') as FailureRecord),
        abortSignal,
      );
    return {
      sqs: createSqsDestination({ config, send } as unknown as SQSClient),
      s3: createS3Destination({ config, send } as unknown as S3Client),
    };
  }

  async #send(record: FailureRecord): Promise<object> {
    const host = currentHost();
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(record, host);
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
        const ms = this.#random.int(25, 100 * attempt);
        await new Promise((resolve) => setTimeout(resolve, ms));
      }
    }
  }

  #attempt(record: FailureRecord, host: Host): Promise<object> {
    const fate = this.#fateOf(host);
    const { promise, resolve, reject } = Promise.withResolvers<object>();
    const fail = (name: string): void => reject(Object.assign(new Error(name), { name }));
    const timer = setTimeout(() => fail('TimeoutError'), REQUEST_TIMEOUT_MS);
    if (fate === 'hangs') clearTimeout(timer);
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

/** As the SDK ends a request. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener(
    'abort',
    () => reject(Object.assign(new Error('aborted'), { name: 'AbortError' })),
    { once: true },
  );
  return Promise.race([work, promise]);
}
