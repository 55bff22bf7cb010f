import type { S3Pointer } from '../model/event.ts';

/** A bucket for bodies that are too large for their events. */
export interface BodyStore {
  /**
   * Puts the bytes of a body where a record points to. The same key gets the same bytes again, so a repetition does no harm.
   * @throws BodyNotStoredError when it does not have them for certain
   */
  put(
    pointer: S3Pointer,
    body: Uint8Array,
    options: { readonly signal: AbortSignal },
  ): Promise<void>;
}
