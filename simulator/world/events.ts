import type { Host } from '../kernel/scheduler.ts';

/** A queue as `topic/brokerName/queueId`. */
export type QueueName = string;

/** A message at its place: `topic/brokerName/queueId/offset`. One number has several, when it is sent back. */
export interface Position {
  readonly key: string;
  readonly queue: QueueName;
  readonly offset: bigint;
  /** The message's number, as its producer gave it. */
  readonly number: number;
  /** What it keeps its order with, where the scenario orders by key. */
  readonly messageKey: string;
  readonly reconsumeTimes: number;
  readonly storedAt: number;
  readonly physicalOffset: number;
  readonly bytes: number;
  /** When a handler call that succeeded with it ended. */
  doneAt: number | undefined;
  /** Mode pop: epoch ms, until when its puller may deliver it; undefined: it was not popped. */
  lentUntil: number | undefined;
  acknowledged: boolean;
  /** Since when the destination of `onFailure` has it, epoch ms. */
  givenUpAt: number | undefined;
  deliveries: Delivery[];
}

/** One message in one handler call. */
export interface Delivery {
  readonly position: Position;
  readonly puller: Host;
  readonly startedAt: number;
  /** Failed deliveries before this one, as the handler was told. */
  readonly told: number;
  endedAt: number | undefined;
  /** `none`: its function died or ran out of time. */
  outcome: 'ok' | 'failed' | 'dropped' | 'none' | undefined;
  /** The call failed as a whole, whoever was to blame. */
  failedWithCall: boolean;
  /** In order: a failure of its group was before it in the event, so it is to come again. */
  isBehindFailure: boolean;
}

/** What happens in the simulated world, as the checks see it. */
export type WorldEvent =
  | { readonly kind: 'stored'; readonly brokerName: string; readonly position: Position }
  | { readonly kind: 'parked'; readonly number: number; readonly reconsumeTimes: number }
  /** On its way to the end of the retry topic, without a delivery. */
  | { readonly kind: 'set-aside'; readonly number: number }
  | { readonly kind: 'dead-lettered'; readonly number: number }
  /** Mode pop: a puller said that it has its end. */
  | { readonly kind: 'acknowledged'; readonly position: Position }
  /** The destination of `onFailure` stored it. */
  | { readonly kind: 'given-to-destination'; readonly number: number }
  | { readonly kind: 'delivery-started'; readonly deliveries: readonly Delivery[] }
  | { readonly kind: 'delivery-ended'; readonly deliveries: readonly Delivery[] }
  | {
      readonly kind: 'commit-sent';
      readonly by: Host;
      readonly queue: QueueName;
      readonly offset: bigint;
    }
  | { readonly kind: 'send-back-sent'; readonly by: Host; readonly position: Position }
  | { readonly kind: 'committed'; readonly queue: QueueName; readonly offset: bigint }
  | {
      readonly kind: 'acquired';
      readonly queue: QueueName;
      readonly holder: string;
      readonly fence: number;
    }
  /** The holder's lease has another end now. Epoch ms of its clock. */
  | {
      readonly kind: 'renewed';
      readonly queue: QueueName;
      readonly holder: string;
      readonly from: number;
      readonly to: number;
    }
  | {
      readonly kind: 'skipped';
      readonly queue: QueueName;
      readonly to: bigint;
      readonly done: boolean;
    }
  /** A broker gave these to a puller. */
  | { readonly kind: 'received'; readonly by: Host; readonly positions: readonly Position[] }
  /** More listeners on one signal than any sound code has there. */
  | { readonly kind: 'listeners'; readonly by: Host; readonly count: number }
  /** An operator's pause of the group was confirmed. Epoch ms. */
  | { readonly kind: 'paused'; readonly until: number }
  | { readonly kind: 'fault'; readonly text: string }
  | {
      readonly kind: 'ended';
      readonly host: Host;
      readonly how: 'returned' | 'failed' | 'killed' | 'timed out';
      readonly leftovers: string | undefined;
    }
  /** A loop over messages threw, though its program did not end it. */
  | { readonly kind: 'loop-failed'; readonly by: Host; readonly text: string }
  | { readonly kind: 'unhandled-rejection'; readonly by: Host; readonly text: string };

/** One line of a trace. */
export function describe(event: WorldEvent): string {
  switch (event.kind) {
    case 'stored':
      return `message ${event.position.number} stored at ${event.position.key} (reconsumeTimes ${event.position.reconsumeTimes})`;
    case 'parked':
      return `message ${event.number} parked for redelivery ${event.reconsumeTimes}`;
    case 'set-aside':
      return `message ${event.number} set aside, to the end of the retry topic`;
    case 'dead-lettered':
      return `message ${event.number} stored in the DLQ`;
    case 'acknowledged':
      return `message ${event.position.number} acknowledged at ${event.position.key}`;
    case 'given-to-destination':
      return `message ${event.number} stored by the destination of onFailure`;
    case 'delivery-started':
    case 'delivery-ended': {
      const [first] = event.deliveries;
      const what = event.deliveries
        .map(
          ({ position, outcome }) =>
            `${position.number}${outcome === undefined ? '' : `=${outcome}`}`,
        )
        .join(' ');
      return `${event.kind} of ${first?.position.queue} by ${first?.puller.name}: ${what}`;
    }
    case 'commit-sent':
      return `${event.by.name} sends commit ${event.offset} of ${event.queue}`;
    case 'send-back-sent':
      return `${event.by.name} sends back ${event.position.key} (message ${event.position.number})`;
    case 'committed':
      return `${event.queue} is committed at ${event.offset}`;
    case 'acquired':
      return `${event.holder} acquires ${event.queue}, fence ${event.fence}`;
    case 'renewed':
      return `${event.holder} renews ${event.queue} by ${event.to - event.from} ms`;
    case 'skipped':
      return `operator moves ${event.queue} to ${event.to}${event.done ? ': done' : ': begins'}`;
    case 'received':
      return `${event.by.name} gets ${event.positions.length} messages`;
    case 'listeners':
      return `${event.by.name} has ${event.count} listeners on one signal`;
    case 'paused':
      return `operator pauses the group until ${event.until}`;
    case 'fault':
      return `FAULT ${event.text}`;
    case 'ended':
      return `${event.host.name} ${event.how}${event.leftovers === undefined ? '' : `, left behind: ${event.leftovers}`}`;
    case 'loop-failed':
      return `a loop of ${event.by.name} failed: ${event.text}`;
    case 'unhandled-rejection':
      return `unhandled rejection in ${event.by.name}: ${event.text}`;
  }
}
