/**
 * What is known of a group's stored offset in one queue, and what has to be done next. A pure state
 * machine: `step` returns the next state and the actions; src/queue/offset-keeper carries them out.
 * Mirrors what RemoteBrokerOffsetStore and the OFFSET_ILLEGAL branch of DefaultMQPushConsumerImpl do,
 * and adds what they leave out: answers that get lost, and offsets that others store.
 *
 * A commit takes two requests, one at a time: it reads the stored offset, and writes only when that
 * is what the broker confirmed last. Brokers report an operator's reset once, with the answer to a
 * pull; when that answer is lost, only the stored offset shows it.
 */
export interface OffsetState {
  /** The last offset that the broker confirmed; undefined: the group has none. */
  readonly confirmed: bigint | undefined;
  /** One that was sent since, without a confirmation: the broker may have it. */
  readonly unconfirmed: bigint | undefined;
  /**
   * - following: the offset is written when it moves forward;
   * - rewound: it is written whatever it is, because it was dictated, or the broker lost commits;
   * - reset-pending: a commit was dropped for an operator's reset. Nothing is delivered or written
   *   before a pull, or the stored offset, shows where to go on.
   */
  readonly position: 'following' | 'rewound' | 'reset-pending';
  /** A connection to the broker was lost since the last confirmation: it may have been restarted. */
  readonly connectionLost: boolean;
  /** The request that is under way. One at a time: two writes could arrive in the other order. */
  readonly request: OffsetRequest | undefined;
}

export type OffsetRequest = (
  | { readonly kind: 'read'; readonly purpose: ReadPurpose; readonly connectionLost: boolean }
  | { readonly kind: 'write'; readonly offset: bigint }
) & {
  /** The position was dictated since it was sent: its answer is about the time before. */
  readonly outdated?: boolean;
};

/**
 * commit: write what is settled if nothing else was stored; check: only follow what others stored;
 * reset: find out where a reset went whose pull answer was lost.
 */
export type ReadPurpose = 'commit' | 'check' | 'reset';

export type OffsetEvent =
  /** Something may have been settled. `committable`: the lowest unfinished offset. */
  | { readonly type: 'commit-due'; readonly committable: bigint }
  | { readonly type: 'check-due' }
  | { readonly type: 'reset-unresolved' }
  /** The answer to a read. */
  | { readonly type: 'stored'; readonly offset: bigint | undefined; readonly committable: bigint }
  | { readonly type: 'written' }
  /** The write was dropped, because an operator's reset waits for the next pull. */
  | { readonly type: 'write-dropped' }
  | { readonly type: 'request-failed'; readonly connectionLost: boolean }
  /** Some other request to the broker failed with its connection. */
  | { readonly type: 'connection-lost' }
  /** A pull was answered with another offset. `reset`: an operator's, which the broker has stored itself. */
  | { readonly type: 'moved'; readonly to: bigint; readonly reset: boolean }
  /** The consumer goes on at another offset by its own or its user's decision. */
  | { readonly type: 'rewind'; readonly to: bigint }
  /** The user stores an offset that need not be what the consumer has passed. */
  | { readonly type: 'store'; readonly offset: bigint };

export type OffsetAction =
  | { readonly type: 'read' }
  | { readonly type: 'write'; readonly offset: bigint }
  /** Drop all messages, also those with a handler, and pull from there. */
  | { readonly type: 'restart'; readonly at: bigint }
  /** Interrupt a held pull: the next one asks the master, which alone reports resets. */
  | { readonly type: 'pull-from-master' }
  | { readonly type: 'report'; readonly finding: OffsetFinding };

/** What is worth a log line. */
export type OffsetFinding =
  | {
      readonly kind: 'commits-lost';
      readonly confirmed: bigint | undefined;
      readonly stored: bigint | undefined;
    }
  | {
      readonly kind: 'changed-by-others';
      readonly confirmed: bigint | undefined;
      readonly stored: bigint;
    }
  | { readonly kind: 'reset-resolved'; readonly offset: bigint }
  | { readonly kind: 'reset-pending'; readonly offset: bigint }
  | { readonly kind: 'committed'; readonly from: bigint | undefined; readonly to: bigint }
  /** The broker had lost it: its disk may not have it before the next flush. */
  | { readonly kind: 'committed-again'; readonly offset: bigint };

export interface OffsetStep {
  readonly state: OffsetState;
  readonly actions: readonly OffsetAction[];
}

/** @param stored the offset that the queue begins at, as the broker has it; undefined: it has none */
export function followingFrom(stored: bigint | undefined): OffsetState {
  return {
    confirmed: stored,
    unconfirmed: undefined,
    position: 'following',
    connectionLost: false,
    request: undefined,
  };
}

/** Would a commit write anything now? */
export function isCommitDue({ position, confirmed }: OffsetState, committable: bigint): boolean {
  if (position === 'reset-pending') return false;
  return position === 'rewound' || confirmed === undefined || committable > confirmed;
}

export function step(state: OffsetState, event: OffsetEvent): OffsetStep {
  switch (event.type) {
    case 'commit-due':
      return onCommitDue(state, event);
    case 'check-due':
      return onCheckDue(state);
    case 'reset-unresolved':
      return onResetUnresolved(state);
    case 'stored':
      return onStored(state, event);
    case 'written':
      return onWritten(state);
    case 'write-dropped':
      return onDropped(state);
    case 'request-failed':
      return onRequestFailed(state, event.connectionLost);
    case 'connection-lost':
      return stay({ ...state, connectionLost: true });
    case 'moved':
      return onMoved(state, event);
    case 'rewind':
      return restart(state, event.to);
    case 'store':
      return onStore(state, event.offset);
  }
}

type EventOf<Type extends OffsetEvent['type']> = Extract<OffsetEvent, { type: Type }>;

function onCommitDue(state: OffsetState, event: EventOf<'commit-due'>): OffsetStep {
  // A broker that was restarted may have lost commits, also when nothing was settled since.
  const mayBeLost = state.connectionLost && state.position === 'following';
  return mayBeLost || isCommitDue(state, event.committable) ? read(state, 'commit') : stay(state);
}

function onCheckDue(state: OffsetState): OffsetStep {
  return state.position === 'reset-pending' ? stay(state) : read(state, 'check');
}

function onResetUnresolved(state: OffsetState): OffsetStep {
  return state.position === 'reset-pending' ? read(state, 'reset') : stay(state);
}

function onRequestFailed(state: OffsetState, lost: boolean): OffsetStep {
  const connectionLost = state.connectionLost || lost;
  return stay({ ...state, request: undefined, connectionLost });
}

function onMoved(state: OffsetState, { to, reset }: EventOf<'moved'>): OffsetStep {
  return restart({ ...state, confirmed: reset ? to : state.confirmed }, to);
}

function onStore(state: OffsetState, offset: bigint): OffsetStep {
  return state.request === undefined ? write(state, offset) : stay(state);
}

function stay(state: OffsetState, ...actions: OffsetAction[]): OffsetStep {
  return { state, actions };
}

function read(state: OffsetState, purpose: ReadPurpose): OffsetStep {
  if (state.request !== undefined) return stay(state);
  const request = { kind: 'read', purpose, connectionLost: state.connectionLost } as const;
  return stay({ ...state, request }, { type: 'read' });
}

function write(state: OffsetState, offset: bigint): OffsetStep {
  return stay(
    { ...state, unconfirmed: offset, request: { kind: 'write', offset } },
    { type: 'write', offset },
  );
}

function restart(state: OffsetState, at: bigint, ...more: OffsetAction[]): OffsetStep {
  const request = state.request && { ...state.request, outdated: true };
  return stay({ ...state, position: 'rewound', request }, { type: 'restart', at }, ...more);
}

function onStored(state: OffsetState, event: EventOf<'stored'>): OffsetStep {
  const { request } = state;
  if (request?.kind !== 'read') return stay(state);
  const idle = { ...state, request: undefined };
  if (request.outdated === true) return stay(idle);
  if (state.position !== 'reset-pending') return compareStored(idle, request, event);
  if (request.purpose !== 'reset') return stay(idle);
  const at = event.offset ?? state.confirmed ?? event.committable;
  return restart({ ...idle, confirmed: at }, at, report({ kind: 'reset-resolved', offset: at }));
}

/** Is the stored offset what the broker confirmed last? If not, the broker lost commits, or somebody else stored it. */
function compareStored(
  state: OffsetState,
  request: Extract<OffsetRequest, { kind: 'read' }>,
  { offset, committable }: EventOf<'stored'>,
): OffsetStep {
  const { confirmed } = state;
  if (offset === confirmed) {
    // A broker that came back with what it had: a lower offset from now on is somebody's decision.
    const connectionLost = state.connectionLost && !request.connectionLost;
    return goOn({ ...state, connectionLost }, request.purpose, committable);
  }
  if (
    offset === undefined ||
    (state.connectionLost && confirmed !== undefined && offset < confirmed)
  ) {
    // Also when nothing was settled since.
    const lost = report({ kind: 'commits-lost', confirmed, stored: offset });
    return goOn({ ...state, position: 'rewound' }, request.purpose, committable, lost);
  }
  if (offset === state.unconfirmed)
    return goOn(
      { ...state, confirmed: offset, unconfirmed: undefined },
      request.purpose,
      committable,
    );
  return restart(
    { ...state, confirmed: offset, unconfirmed: undefined },
    offset,
    report({ kind: 'changed-by-others', confirmed, stored: offset }),
  );
}

/** The stored offset is as it should be: a commit goes on. */
function goOn(
  state: OffsetState,
  purpose: ReadPurpose,
  committable: bigint,
  ...first: OffsetAction[]
): OffsetStep {
  const next =
    purpose === 'commit' && isCommitDue(state, committable)
      ? write(state, committable)
      : stay(state);
  return { state: next.state, actions: [...first, ...next.actions] };
}

function onWritten(state: OffsetState): OffsetStep {
  const { request, confirmed } = state;
  if (request?.kind !== 'write') return stay(state);
  const { offset } = request;
  // The broker may have it, or what dictated the position came after it: it is written over.
  if (request.outdated === true) return stay({ ...state, request: undefined, unconfirmed: offset });
  const next: OffsetState = {
    confirmed: offset,
    unconfirmed: undefined,
    position: 'following',
    connectionLost: false,
    request: undefined,
  };
  if (offset !== confirmed)
    return stay(next, report({ kind: 'committed', from: confirmed, to: offset }));
  return state.position === 'rewound'
    ? stay(next, report({ kind: 'committed-again', offset }))
    : stay(next);
}

function onDropped(state: OffsetState): OffsetStep {
  if (state.request?.kind !== 'write') return stay(state);
  const { offset, outdated } = state.request;
  // The pull that dictated the position has reported the reset already.
  if (outdated === true) return stay({ ...state, request: undefined, unconfirmed: undefined });
  return stay(
    { ...state, unconfirmed: undefined, request: undefined, position: 'reset-pending' },
    { type: 'pull-from-master' },
    report({ kind: 'reset-pending', offset }),
  );
}

function report(finding: OffsetFinding): OffsetAction {
  return { type: 'report', finding };
}
