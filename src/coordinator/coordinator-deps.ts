import type { ServiceConfig } from '../model/source.ts';
import type { AssignmentStore } from '../ports/assignment-store.ts';
import type { Clock } from '../ports/clock.ts';
import type { PullerInvoker } from '../ports/invoke.ts';
import type { Logger } from '../ports/logger.ts';
import type { Gauges } from '../ports/meter.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';

/** What a coordinator run needs from the world. */
export interface CoordinatorDeps {
  readonly service: ServiceConfig;
  readonly clients: (cluster: string) => RocketMQ;
  readonly store: AssignmentStore;
  readonly invoker: PullerInvoker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of lag and age at the end of each run, for CloudWatch. */
  readonly gauges?: Gauges;
  /** Ends the run early, in good order. */
  readonly signal?: AbortSignal;
  /** Until the invocation's deadline. */
  readonly remainingMs: () => number;
}
