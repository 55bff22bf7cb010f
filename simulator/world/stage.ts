import type { SourceConfig } from '../../src/model/source.ts';
import type { Host, Scheduler } from '../kernel/scheduler.ts';
import type { Plan } from '../plan.ts';
import type { Brokers } from './brokers.ts';
import type { Disturbed } from './disturbance.ts';
import type { Lambda } from './lambda.ts';
import type { Network } from './network.ts';
import type { Processes } from './processes.ts';
import type { EndOfProgram } from './programs.ts';
import type { Table } from './table.ts';

/** Names of the second deployment's processes begin with it. */
export const SECOND_STAGE = 'prod-';

/** What faults act on. */
export interface Stage {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly brokers: Brokers;
  readonly table: Table;
  readonly lambda: Lambda;
  readonly processes: Processes;
  /**
   * Something went wrong, or is over.
   * @param disturbed whose commits it can hold up, for `ms` from now on. Absent: nobody's
   */
  note(text: string, disturbed?: Disturbed, ms?: number): void;
  at(ms: number, run: () => void): void;
  committed(queue: string): bigint;
  /** An operator moved the queue. @param done it was confirmed: nothing before may be delivered any more */
  skipped(queue: string, to: bigint, done: boolean): void;
  /** Its messages have no other end. */
  topicDeleted(topic: string): void;
  /** A pause was confirmed. */
  paused(until: number): void;
  /** The next answer to a pull of the queue does not arrive. */
  loseNextPull(topic: string, queueId: number): void;
  /** What becomes of sends from now on. Undefined: they are carried out. */
  failSends(fate: 'busy' | 'answer-lost' | undefined): void;
  /** The host's requests to the table are lost, or arrive again. */
  cutFromTable(host: Host, isCut: boolean): void;
  /** Does the schedule start coordinators of another deployment of the group, with a table of its own? */
  setSecondDeployment(isOn: boolean): void;
  /** @returns ends it */
  startJavaMember(): (dies: boolean) => void;
  /** Does the schedule start coordinators? */
  setSchedule(isOn: boolean): void;
  endProgram(which: number, how: EndOfProgram): void;
  log(text: string, fields: object): void;
  /** What is deployed from now on. */
  deploy(change: (source: SourceConfig) => SourceConfig): void;
}
