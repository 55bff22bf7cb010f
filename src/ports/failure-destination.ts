import type { FailureRecord } from '../model/failure.ts';

/** A queue, topic or bucket of AWS that takes what failed for good. Throws when it does not have the record for certain. */
export interface FailureDestination {
  deliver(
    arn: string,
    record: FailureRecord,
    options?: { readonly signal?: AbortSignal },
  ): Promise<void>;
}

/** By `type` of the event's `onFailure`; only those that the service uses are bundled. */
export type FailureDestinations = Partial<
  Readonly<Record<'sqs' | 'sns' | 's3', FailureDestination>>
>;
