/**
 * How many messages of a batch that failed as a whole go into its first part. Halves find the one that fails soonest; but where there is not the time to
 * get down to a single message, one goes alone at once, so that every holder of the queue comes further.
 * @param count of the batch, at least 2
 * @param callsLeft handler calls that fit into the invocation's rest
 */
export function firstPart(count: number, callsLeft: number): number {
  return callsLeft >= Math.ceil(Math.log2(count)) ? Math.ceil(count / 2) : 1;
}

/**
 * What to do with a batch that failed as a whole: split it now; leave it to the next holder, who has more time; or fail it, because no invocation
 * has time for a second call.
 * @param callsLeft handler calls that fit into the invocation's rest
 * @param callsInAll handler calls that fit into a whole invocation
 */
export function bisection(callsLeft: number, callsInAll: number): 'split' | 'leave' | 'fail' {
  if (callsLeft >= 1) return 'split';
  return callsInAll >= 2 ? 'leave' : 'fail';
}
