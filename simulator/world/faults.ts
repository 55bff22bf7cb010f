import type { RemotingCommand } from '../../src/remoting/command.ts';
import { RequestCode } from '../../src/remoting/request-code.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { pullMessage } from '../../src/requests/pull-message.ts';
import type { Host } from '../kernel/scheduler.ts';
import type { Fault, Plan, ProcessKind } from '../plan.ts';
import type { DestinationFate } from './destinations.ts';
import type { Disturbed } from './disturbance.ts';
import type { RequestFate } from './network.ts';
import type { TableFate } from './table.ts';

type FaultOf<Kind extends Fault['kind']> = Extract<Fault, { readonly kind: Kind }>;

const REQUEST_FATES: Readonly<Record<FaultOf<'request'>['fate'], (ms: number) => RequestFate>> = {
  lost: () => ({ kind: 'lost' }),
  'answer-lost': () => ({ kind: 'answer-lost' }),
  disconnected: () => ({ kind: 'disconnected', carriedOut: false }),
  'disconnected-after': () => ({ kind: 'disconnected', carriedOut: true }),
  late: (ms) => ({ kind: 'late', ms }),
  busy: () => ({
    kind: 'refused',
    code: ResponseCode.SYSTEM_BUSY,
    remark: '[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while',
  }),
};

const SENDS: ReadonlySet<number> = new Set([
  RequestCode.CONSUMER_SEND_MSG_BACK,
  RequestCode.SEND_MESSAGE,
  RequestCode.SEND_MESSAGE_V2,
]);

/** Faults that hit the nth of something: counts, and says what happens to each. */
export class CountedFaults {
  readonly #plan: Plan;
  readonly #counts = new Map<string, number>();
  readonly #onFault: (text: string, disturbed?: Disturbed, ms?: number) => void;
  readonly #kill: (host: Host) => void;
  #fateOfSends: FaultOf<'sends-fail'>['fate'] | undefined;
  #lostPull: { readonly topic: string; readonly queueId: number } | undefined;

  constructor(
    plan: Plan,
    onFault: (text: string, disturbed?: Disturbed, ms?: number) => void,
    kill: (host: Host) => void,
  ) {
    this.#plan = plan;
    this.#onFault = onFault;
    this.#kill = kill;
  }

  /** The next answer to a pull of the queue does not arrive. */
  loseNextPull(topic: string, queueId: number): void {
    this.#lostPull = { topic, queueId };
  }

  failSends(fate: FaultOf<'sends-fail'>['fate'] | undefined): void {
    this.#fateOfSends = fate;
  }

  losesAnswer(request: RemotingCommand, host: Host): boolean {
    if (this.#lostPull === undefined || request.code !== RequestCode.PULL_MESSAGE) return false;
    const { topic, queueId } = pullMessage.decode(request);
    if (topic !== this.#lostPull.topic || queueId !== this.#lostPull.queueId) return false;
    this.#lostPull = undefined;
    this.#onFault('the answer of a pull is lost', { kind: 'process', host });
    return true;
  }

  ofRequest(code: number, host: Host): RequestFate {
    if (this.#fateOfSends !== undefined && SENDS.has(code)) {
      this.#onFault(`send: ${this.#fateOfSends}`);
      return REQUEST_FATES[this.#fateOfSends](0);
    }
    const nth = this.#count(`request ${code}`);
    const fault = this.#find('request', (one) => RequestCode[one.code] === code && one.nth === nth);
    if (fault === undefined) return { kind: 'carried-out' };
    this.#onFault(
      `request ${nth} of ${fault.code}: ${fault.fate} ${fault.ms} ms`,
      { kind: 'process', host },
      fault.ms,
    );
    return REQUEST_FATES[fault.fate](fault.ms);
  }

  ofTableRequest(host: Host): TableFate {
    const nth = this.#count('table-request');
    const fault = this.#find('table-request', (one) => one.nth === nth);
    if (fault === undefined) return 'carried-out';
    this.#onFault(`table request ${nth}: ${fault.fate}`, { kind: 'process', host });
    return fault.fate;
  }

  ofDestinationRequest(host: Host): DestinationFate {
    const nth = this.#count('destination-request');
    const fault = this.#find('destination-request', (one) => one.nth === nth);
    if (fault === undefined) return 'carried-out';
    this.#onFault(`request ${nth} to the destination: ${fault.fate}`, { kind: 'process', host });
    return fault.fate;
  }

  ofInvocation(): FaultOf<'invocation'> | undefined {
    const nth = this.#count('invocation');
    const fault = this.#find('invocation', (one) => one.nth === nth);
    if (fault !== undefined) this.#onFault(`invocation ${nth}: ${fault.fate}`);
    return fault;
  }

  ofHandlerCall(host: Host): FaultOf<'handler-call'>['fate'] | undefined {
    const nth = this.#count('handler-call');
    const fault = this.#find('handler-call', (one) => one.nth === nth);
    if (fault !== undefined)
      this.#onFault(`handler call ${nth}: ${fault.fate}`, { kind: 'process', host });
    return fault?.fate;
  }

  /** A process sends something. It may be its last. */
  beforeSend(host: Host, kind: ProcessKind | undefined, invocation: number): void {
    if (kind === undefined) return;
    const request = this.#count(`sent by ${host.name}`);
    const fault = this.#find(
      'kill-at-request',
      (one) => one.of === kind && one.invocation === invocation && one.request === request,
    );
    if (fault === undefined) return;
    this.#onFault(`${host.name} is killed at its request ${request}`);
    this.#kill(host);
  }

  #count(what: string): number {
    const count = (this.#counts.get(what) ?? 0) + 1;
    this.#counts.set(what, count);
    return count;
  }

  #find<Kind extends Fault['kind']>(
    kind: Kind,
    matches: (fault: FaultOf<Kind>) => boolean,
  ): FaultOf<Kind> | undefined {
    return this.#plan.faults.find(
      (fault): fault is FaultOf<Kind> => fault.kind === kind && matches(fault as FaultOf<Kind>),
    );
  }
}
