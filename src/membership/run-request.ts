import type { PullerRequest } from '../ports/invoke.ts';
import type { PullerDeps, PullerReport } from '../puller/puller-deps.ts';
import { runLimited } from './run-limited.ts';
import { runMember } from './run-member.ts';

/** One puller invocation, in the way that the options of its group say; a request for another way is refused. */
export function runRequest(request: PullerRequest, deps: PullerDeps): Promise<PullerReport> {
  const run = request.asMember === true ? runMember : runLimited;
  return run(request, { ...deps, invocationMs: deps.remainingMs() });
}
