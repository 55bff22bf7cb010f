import type { OperatorCommand } from '../model/operator-commands.ts';
import type { HandlerConfig, ServiceConfig } from '../model/source.ts';
import type { AssignmentStore } from '../ports/assignment-store.ts';
import type { Clock } from '../ports/clock.ts';
import type { MessageHandler } from '../ports/invoke.ts';
import type { NetworkProbe } from '../ports/network-probe.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';

/** What the commands of operators work with; the same in the deployed function and on a laptop (`--local`). */
export interface OperatorDeps {
  readonly service: ServiceConfig;
  /** One client per cluster. */
  readonly clients: (cluster: string) => RocketMQ;
  /** Undefined: no table is known (`--local` without one), so that only what brokers tell can be told. */
  readonly store: AssignmentStore | undefined;
  readonly clock: Clock;
  readonly remainingMs: () => number;
  /** The deployed function of a handler; inline handlers have none. */
  readonly handlers: (handler: HandlerConfig) => MessageHandler;
  /** May the function be invoked, without invoking it? Answers undefined: it may. Absent: it cannot be checked here. */
  readonly checkHandler?: (functionName: string) => Promise<{ readonly why: string } | undefined>;
  readonly probe: NetworkProbe;
  /** `doctor` says where it looked from. */
  readonly place: 'function' | 'local';
  /** Commands that are carried out. Absent: all. */
  readonly commands?: readonly OperatorCommand[] | undefined;
  readonly signal?: AbortSignal;
}
