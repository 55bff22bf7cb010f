/** How one message of the workload behaves; a function of its number, so that producer, handler and checks agree without talking. */
export type Behaviour =
  | 'good'
  | 'fails once'
  | 'throws once'
  | 'times out once'
  | 'kills its process once'
  | 'always fails';

export const TOTAL = 20_000;
export const MAXIMUM_RETRY_ATTEMPTS = 2;

/** @param seq 0..TOTAL-1 */
export function behaviour(seq: number): Behaviour {
  if (seq % 1_000 === 700) return 'always fails';
  if (seq % 100 === 13) return 'fails once';
  if (seq % 2_000 === 401) return 'throws once';
  if (seq % 5_000 === 1_802) return 'times out once';
  if (seq % 5_000 === 3_603) return 'kills its process once';
  return 'good';
}

export function alwaysFailing(): number[] {
  return Array.from({ length: TOTAL }, (_, seq) => seq).filter(
    (seq) => behaviour(seq) === 'always fails',
  );
}
