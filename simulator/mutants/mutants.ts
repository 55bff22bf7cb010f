/** A fault put into the product as it is loaded. The simulator has to find each. */
export interface Mutant {
  readonly name: string;
  /** From the repository's root. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** A second place, where the product guards itself twice. */
  readonly also?: { readonly file: string; readonly find: string; readonly replace: string };
  /** Where it shows soonest. */
  readonly scenarios: readonly string[];
}

const OFFSETS: readonly Mutant[] = [
  {
    name: 'commit-before-send-back',
    file: 'src/puller/settle-messages.ts',
    find: 'if (!session.messages.expects(entry)) return;\n      const dead',
    replace: 'if (!session.messages.settle(entry)) return;\n      const dead',
    scenarios: ['broker', 'retries'],
  },
  {
    name: 'commit-above-unfinished',
    file: 'src/decide/process-queue/process-queue.ts',
    find: 'return this.#entries[this.#head]?.offset ?? this.#nextOffset;',
    replace: 'return this.#nextOffset;',
    scenarios: ['steady', 'lambda'],
  },
  {
    name: 'settle-moves-the-head-alone',
    file: 'src/decide/process-queue/process-queue.ts',
    find: "while (this.#entries[this.#head]?.state === 'done') this.#head++;",
    replace: 'this.#head++;',
    scenarios: ['everything', 'retries'],
  },
  {
    name: 'pull-skips-one',
    file: 'src/decide/process-queue/process-queue.ts',
    find: '    this.advance(nextBeginOffset);\n  }\n\n  /** Adds one that has no place',
    replace: '    this.advance(nextBeginOffset + 1n);\n  }\n\n  /** Adds one that has no place',
    scenarios: ['steady'],
  },
  {
    name: 'start-ignores-the-stored-offset',
    file: 'src/puller/find-start.ts',
    find: 'if (stored !== undefined) return stored;',
    replace: 'if (stored !== undefined) return assignment.startOffset;',
    scenarios: ['lambda', 'rebalance'],
  },
  {
    name: 'commit-without-reading-the-stored-offset',
    file: 'src/puller/commit-offset.ts',
    find: 'if ((await review(session)) && isDue(session))',
    replace: 'if (isDue(session))',
    scenarios: ['mqadmin', 'operator'],
  },
  {
    name: 'no-final-commit',
    file: 'src/puller/commit-offset.ts',
    find: 'await commitOffset(session);\n    if (!isDue(session) || tries === LAST_TRIES) return;',
    replace: 'if (!isDue(session) || tries > 0) return;',
    scenarios: ['rebalance', 'redeploy', 'short-lived'],
  },
  {
    name: 'reset-is-not-followed',
    file: 'src/decide/offset/offset-story.ts',
    find: "return stored === sent ? { kind: 'arrived', offset: stored } : { kind: 'reset', offset: stored };",
    replace:
      "return stored === sent ? { kind: 'arrived', offset: stored } : { kind: 'lost-commits' };",
    scenarios: ['mqadmin', 'operator'],
  },
  {
    name: 'first-queues-start-at-their-end',
    file: 'src/decide/assignment/start-position.ts',
    find: "case 'TRIM_HORIZON':\n      return { at: 'min' };",
    replace: "case 'TRIM_HORIZON':\n      return { at: 'max' };",
    scenarios: ['steady', 'bisect'],
  },
  {
    name: 'later-queues-start-at-their-end',
    file: 'src/decide/assignment/start-position.ts',
    find: "if (subscription === undefined || met) return { at: 'min' };",
    replace: "if (subscription === undefined || met) return { at: 'max' };",
    scenarios: ['growth'],
  },
];

const LEASES: readonly Mutant[] = [
  {
    name: 'lease-without-margin',
    file: 'src/decide/lease/lease.ts',
    find: 'return now < lease.leaseUntil - margin;',
    replace: 'return now < lease.leaseUntil + margin - margin;',
    scenarios: ['stale-holders', 'table', 'lambda'],
  },
  {
    name: 'lease-never-ends',
    file: 'src/decide/lease/lease.ts',
    find: 'return now < lease.leaseUntil - margin;',
    replace: 'return margin > 0 || now < lease.leaseUntil;',
    scenarios: ['stale-holders', 'lambda'],
  },
  {
    name: 'no-renewal',
    file: 'src/decide/lease/lease.ts',
    find: 'return now - renewedAt >= interval;',
    replace: 'return now - renewedAt >= 100 * interval;',
    scenarios: ['steady'],
  },
  {
    name: 'no-fencing-token',
    file: 'src/store/conditions.ts',
    find: "ours: '#holder = :holder AND #fence = :fence',",
    replace: "ours: '(#fence = :fence OR NOT #holder = :holder OR #fence <> :fence)',",
    scenarios: ['stale-holders', 'lambda'],
  },
  {
    name: 'takes-a-live-lease',
    file: 'src/store/conditions.ts',
    find: "ended: '#leaseUntil < :now',",
    replace: "ended: '(#leaseUntil < :now OR #leaseUntil >= :now)',",
    also: {
      file: 'src/store/assignment-store.ts',
      find: "return item?.lease !== undefined && item.lease.leaseUntil >= applicant.now ? 'held' : reason;",
      replace: 'return reason;',
    },
    scenarios: ['rebalance', 'lambda'],
  },
  {
    name: 'deaths-are-not-counted',
    file: 'src/store/conditions.ts',
    find: 'if (crash !== undefined) return { ...crash, count: crash.count + 1 };',
    replace: 'if (crash !== undefined) return crash;',
    scenarios: ['poison', 'inline'],
  },
  {
    name: 'pause-is-not-obeyed',
    file: 'src/puller/hold-lease.ts',
    find: 'else if (pausedUntil !== undefined && pausedUntil > now)',
    replace: 'else if (pausedUntil !== undefined && pausedUntil < 0)',
    scenarios: ['operator'],
  },
  {
    name: 'operator-does-not-wait-for-holders',
    file: 'src/operator/fence.ts',
    find: 'isLive(items.get(queueKey(queue))?.lease, clock.now());',
    replace: 'isLive(items.get(queueKey(queue))?.lease, clock.now() + 1e9);',
    scenarios: ['operator'],
  },
];

const FAILURES: readonly Mutant[] = [
  {
    name: 'bisect-loses-the-middle',
    file: 'src/puller/bisect-batch.ts',
    find: 'partOf(session, batch, middle, deliveries.length)',
    replace:
      'partOf(session, batch, Math.min(middle + 1, deliveries.length - 1), deliveries.length)',
    scenarios: ['bisect'],
  },
  {
    name: 'verdicts-by-position',
    file: 'src/delivery/read-answer.ts',
    find: 'failures.set(position, own.redelivery ?? common.redelivery ??',
    replace:
      'failures.set(failures.size, position < 0 ? undefined : own.redelivery ?? common.redelivery ??',
    scenarios: ['retries', 'everything'],
  },
  {
    name: 'local-deliveries-do-not-count',
    file: 'src/puller/settle-in-order.ts',
    find: 'failures: message.reconsumeTimes + entry.localRetries,',
    replace: 'failures: message.reconsumeTimes,',
    scenarios: ['ordered-by-queue', 'ordered-by-key'],
  },
  {
    name: 'one-retry-too-many',
    file: 'src/puller/send-back.ts',
    find: 'maxReconsumeTimes: maxReconsume,',
    replace: 'maxReconsumeTimes: maxReconsume + 1,',
    scenarios: ['retries'],
  },
  {
    name: 'first-failure-is-the-last',
    file: 'src/decide/retry/redelivery.ts',
    find: "case 'level':\n      return redelivery.level;",
    replace: "case 'level':\n      return -1;",
    scenarios: ['retries'],
  },
  {
    name: 'send-back-that-failed-counts',
    file: 'src/puller/send-back.ts',
    find: 'if (!busy || attempt >= BUSY_TRIES) break;',
    replace: 'if (!busy || attempt >= BUSY_TRIES) return true;',
    scenarios: ['broker'],
  },
  {
    name: 'throttles-are-failures',
    file: 'src/delivery/lambda-handler.ts',
    find: "if (!call.signal.aborted) return { kind: 'unavailable', error, mayRun: mayRun(error) };",
    replace:
      "if (!call.signal.aborted) return { kind: 'failed', errorType: error.name, errorMessage: '' };",
    scenarios: ['throttled', 'lambda'],
  },
  {
    name: 'failed-function-is-success',
    file: 'src/delivery/lambda-handler.ts',
    find: 'if (answer.FunctionError !== undefined)',
    replace: 'if (answer.FunctionError === undefined && text === "")',
    scenarios: ['bisect', 'retries'],
  },
  {
    name: 'drop-goes-to-the-dlq',
    file: 'src/puller/settle-messages.ts',
    find: "if (redelivery !== undefined && redelivery.kind !== 'drop')\n      failed.push({ delivery, redelivery });",
    replace:
      "if (redelivery !== undefined)\n      failed.push({ delivery, redelivery: redelivery.kind === 'drop' ? { kind: 'dlq' } : redelivery });",
    scenarios: ['retries'],
  },
];

const ORDER: readonly Mutant[] = [
  {
    name: 'lane-is-overtaken',
    file: 'src/decide/order/lanes.ts',
    find: 'else if (lane !== undefined) blocked.add(lane);',
    replace: '',
    scenarios: ['ordered-by-key', 'ordered-by-queue'],
  },
  {
    name: 'failure-does-not-stop-its-lane',
    file: 'src/decide/order/ends-in-order.ts',
    find: 'if (lane !== undefined) stopped.add(lane);',
    replace: '',
    scenarios: ['ordered-by-queue', 'ordered-by-key'],
  },
  {
    name: 'order-does-not-wait-for-a-dead-holders-function',
    file: 'src/puller/queue-order.ts',
    find: 'if (now < this.deliverFrom) return false;',
    replace: '',
    scenarios: ['slow-functions', 'ordered-by-queue'],
  },
  {
    name: 'attempts-are-forgotten',
    file: 'src/decide/order/attempts.ts',
    find: 'return new Map(kept);',
    replace: 'return new Map(kept.slice(0, 0));',
    scenarios: ['short-lived-order', 'ordered-by-queue'],
  },
];

const LIFE: readonly Mutant[] = [
  {
    name: 'no-reserve-at-the-end',
    file: 'src/decide/budget/time-budget.ts',
    find: 'return remainingMs - reserveMs;',
    replace: 'return remainingMs - 0 * reserveMs;',
    also: {
      file: 'src/decide/budget/time-budget.ts',
      find: 'return handlerTimeoutMs + reserveMs <= remainingMs;',
      replace: 'return handlerTimeoutMs > 0 && reserveMs > 0 && remainingMs > 0;',
    },
    scenarios: ['deadline', 'short-lived'],
  },
  {
    name: 'timer-is-left-behind',
    file: 'src/client/connection.ts',
    find: "clearTimeout(timer);\n        signal?.removeEventListener('abort', onAbort);\n        this.#pending.delete(opaque);",
    replace:
      "signal?.removeEventListener('abort', onAbort);\n        this.#pending.delete(opaque);",
    scenarios: ['steady'],
  },
  {
    name: 'rejection-without-a-handler',
    file: 'src/coordinator/run-coordinator.ts',
    find: '})().catch(() => {});',
    replace: '})();',
    scenarios: ['steady'],
  },
  {
    name: 'no-flow-control',
    file: 'src/decide/pull/flow-control.ts',
    find: "if (cached.bytes > limits.maxBytes) return 'bytes';",
    replace: '',
    scenarios: ['memory'],
  },
  {
    name: 'listener-is-left-behind',
    file: 'src/client/connection.ts',
    find: "signal?.removeEventListener('abort', onAbort);\n        this.#pending.delete(opaque);",
    replace: 'this.#pending.delete(opaque);',
    scenarios: ['retries', 'sparse'],
  },
  {
    name: 'connection-is-left-open',
    file: 'src/client/connection-pool.ts',
    find: 'const all = [...this.#connections.values()];',
    replace: 'const all = [...this.#connections.values()].slice(1);',
    scenarios: ['steady'],
  },
  {
    name: 'retry-queue-is-never-worked',
    file: 'src/decide/dispatch/which-to-invoke.ts',
    find: "if (!isLive(lease, now)) return 'free';",
    replace: "if (!isLive(lease, now)) return slot < 0 || lease !== undefined ? 'held' : 'free';",
    scenarios: ['lambda'],
  },
];

export const MUTANTS: readonly Mutant[] = [...OFFSETS, ...LEASES, ...FAILURES, ...ORDER, ...LIFE];
