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
    file: 'src/puller/pulled-ends.ts',
    find: 'if (!messages.expects(entry)) return;',
    replace: 'if (!messages.settle(entry)) return;',
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
    find: 'if (answer.left > 0) this.#noteMemory(memory);\n    this.advance(nextBeginOffset);',
    replace:
      'if (answer.left > 0) this.#noteMemory(memory);\n    this.advance(nextBeginOffset + 1n);',
    scenarios: ['steady'],
  },
  {
    name: 'start-ignores-the-stored-offset',
    file: 'src/decide/offset/start-offset.ts',
    find: "if (stored !== undefined) return { kind: 'stored', offset: stored } as const;",
    replace: "if (stored !== undefined) return { kind: 'stored', offset: start } as const;",
    scenarios: ['lambda', 'rebalance'],
  },
  {
    name: 'commit-without-reading-the-stored-offset',
    file: 'src/queue/offset-tracker.ts',
    find: "return mayBeLost || isCommitDue(state, event.committable) ? read(state, 'commit') : stay(state);",
    replace:
      'return isCommitDue(state, event.committable) && state.request === undefined ? write(state, event.committable) : stay(state);',
    scenarios: ['mqadmin'],
  },
  {
    name: 'no-final-commit',
    file: 'src/puller/commit-offset.ts',
    find: 'await this.#store();\n      if (!this.#isDue || tries === LAST_TRIES) return;',
    replace: 'if (!this.#isDue || tries > 0) return;',
    scenarios: ['rebalance', 'redeploy', 'short-lived'],
  },
  {
    name: 'commits-take-longer-than-a-second',
    file: 'src/puller/commit-offset.ts',
    find: 'export const COMMIT_INTERVAL_MS = 800;',
    replace: 'export const COMMIT_INTERVAL_MS = 1_800;',
    scenarios: ['lambda', 'stale-holders'],
  },
  {
    name: 'reset-is-not-followed',
    file: 'src/queue/offset-tracker.ts',
    find: "offset,\n    report({ kind: 'changed-by-others', confirmed, stored: offset }),",
    replace: "committable,\n    report({ kind: 'changed-by-others', confirmed, stored: offset }),",
    scenarios: ['mqadmin', 'operator'],
  },
  {
    name: 'others-offset-passes-for-lost-commits',
    file: 'src/queue/offset-tracker.ts',
    find: '(state.connectionLost && confirmed !== undefined && offset < confirmed)',
    replace: '(offset !== confirmed && offset !== state.unconfirmed)',
    scenarios: ['mqadmin', 'operator'],
  },
  {
    name: 'lost-commits-pass-for-others-offset',
    file: 'src/queue/offset-tracker.ts',
    find: '(state.connectionLost && confirmed !== undefined && offset < confirmed)',
    replace: 'false',
    scenarios: ['lost-commits'],
  },
  {
    name: 'restart-without-a-broken-connection-is-not-noticed',
    file: 'src/queue/offset-keeper.ts',
    find: 'return startedAt !== undefined && startedAt > confirmedAt;',
    replace: 'return false;',
    scenarios: ['unseen-restart'],
  },
  {
    name: 'lost-commits-between-holders-are-not-noticed',
    file: 'src/decide/offset/settled-above.ts',
    find: 'startedAt > confirmedAt;',
    replace: 'startedAt < 0;',
    scenarios: ['lost-commits'],
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

const LIVES: readonly Mutant[] = [
  {
    name: 'life-mark-is-ignored',
    file: 'src/decide/offset/queue-life.ts',
    find: 'range.firstStoredAt > mark.storedAt',
    replace: 'range.firstStoredAt > mark.storedAt + 1e15',
    scenarios: ['recreated'],
  },
];

const LEASES: readonly Mutant[] = [
  {
    name: 'lease-without-margin',
    file: 'src/decide/lease/lease.ts',
    find: 'return now < lease.leaseUntil - margin;',
    replace: 'return now < lease.leaseUntil + margin - margin;',
    also: {
      file: 'src/decide/lease/lease.ts',
      find: 'endedBefore: now - TAKEOVER_MARGIN_MS,',
      replace: 'endedBefore: now,',
    },
    scenarios: ['stale-holders', 'skewed', 'table', 'lambda'],
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
    also: {
      file: 'src/puller/regain-lease.ts',
      find: '    await leaseKeeper.renew();\n',
      replace: '',
    },
  },
  {
    name: 'no-fencing-token',
    file: 'src/store/conditions.ts',
    find: "ours: '#holder = :holder AND #fence = :fence',",
    replace: "ours: '(#fence = :fence OR NOT #holder = :holder OR #fence <> :fence)',",
    scenarios: ['stale-holders', 'lambda'],
  },
  {
    name: 'late-renewal-shortens-the-lease',
    file: 'src/store/conditions.ts',
    find: 'when: [clause.ours, clause.laterRenewal],',
    replace: 'when: [clause.ours],',
    scenarios: ['stale-holders', 'table'],
  },
  {
    name: 'takes-a-live-lease',
    file: 'src/store/conditions.ts',
    find: 'OR #leaseUntil < #acquiredAt)',
    replace: 'OR #leaseUntil < #acquiredAt OR #leaseUntil >= #acquiredAt)',
    also: {
      file: 'src/store/assignment-store.ts',
      find: "return item?.lease !== undefined && !mayTakeOver(item.lease, ended) ? 'held' : reason;",
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
    name: 'suspect-is-alone-in-its-queue-only',
    file: 'src/puller/deliver-batches.ts',
    find: 'await rights.alone(batch.subscription);',
    replace: '(): void => {};',
    scenarios: ['poisons-beside-others'],
  },
  {
    name: 'pause-is-not-obeyed',
    file: 'src/puller/lease-keeper.ts',
    find: 'if (pausedUntil !== undefined && pausedUntil > now)',
    replace: 'if (pausedUntil !== undefined && pausedUntil < 0)',
    scenarios: ['operator'],
  },
  {
    name: 'operator-does-not-wait-for-holders',
    file: 'src/operator/fence.ts',
    find: 'mayBeHeld(items.get(queueKey(queue))?.lease, clock.now());',
    replace: 'mayBeHeld(items.get(queueKey(queue))?.lease, clock.now() + 1e9);',
    also: {
      file: 'src/operator/reset.ts',
      find: "if (outcome === 'held')",
      replace: "if (outcome === 'held' && queue.queueId < 0)",
    },
    scenarios: ['skips'],
  },
];

const FAILURES: readonly Mutant[] = [
  {
    name: 'messages-of-an-absent-event-stay',
    file: 'src/puller/absent-handlers.ts',
    find: 'return isRetryQueue &&',
    replace: 'return !isRetryQueue &&',
    scenarios: ['absent-event'],
  },
  {
    name: 'set-aside-counts-as-a-failure',
    file: 'src/client/outgoing.ts',
    find: 'return { ...request, reconsumeTimes };',
    replace: 'return request;',
    scenarios: ['absent-event'],
  },
  {
    name: 'set-aside-is-done-without-its-send',
    file: 'src/puller/set-aside.ts',
    find: 'failedSends.note(entry, outcome.failure, outcome.unanswered);',
    replace: 'messages.settle(entry);',
    scenarios: ['absent-event'],
  },
  {
    name: 'bisect-loses-the-middle',
    file: 'src/puller/settlement.ts',
    find: '[end.first, deliveries.length], {',
    replace: '[Math.min(end.first + 1, deliveries.length - 1), deliveries.length], {',
    scenarios: ['bisect'],
  },
  {
    name: 'verdicts-by-position',
    file: 'src/delivery/read-answer.ts',
    find: 'failures.set(position, isFinal',
    replace: 'failures.set(position < 0 ? position : failures.size, isFinal',
    scenarios: ['retries', 'everything'],
  },
  {
    name: 'local-deliveries-do-not-count-in-order',
    file: 'src/puller/settlement.ts',
    find: 'failures: failuresBefore(message, source, entry.localRetries),',
    replace: 'failures: failuresBefore(message, source, 0),',
    also: {
      file: 'src/decide/retry/send-steps.ts',
      find: 'return localRetries > 0 && reconsumeTimes + localRetries > maxReconsumeTimes;',
      replace: 'return localRetries > 0 && reconsumeTimes > maxReconsumeTimes;',
    },
    scenarios: ['ordered-by-queue', 'ordered-by-key'],
  },
  {
    name: 'local-deliveries-do-not-count',
    file: 'src/puller/settlement.ts',
    find: 'failures: failuresBefore(message, source, entry.localRetries),',
    replace: 'failures: failuresBefore(message, source, 0),',
    also: {
      file: 'src/decide/retry/send-steps.ts',
      find: 'return localRetries > 0 && reconsumeTimes + localRetries > maxReconsumeTimes;',
      replace: 'return localRetries > 0 && reconsumeTimes > maxReconsumeTimes;',
    },
    scenarios: ['refused-sends'],
  },
  {
    name: 'local-deliveries-of-the-holder-before-do-not-count',
    file: 'src/decide/retry/send-steps.ts',
    find: 'return localRetries > 0 && reconsumeTimes + localRetries > maxReconsumeTimes;',
    replace: 'return localRetries > 0 && reconsumeTimes > maxReconsumeTimes;',
    scenarios: ['refused-sends'],
  },
  {
    name: 'unanswered-send-back-is-repeated',
    file: 'src/decide/retry/send-steps.ts',
    find: "return unanswered < maxUnanswered ? 'next-way' : 'stop';",
    replace: "return attempt < 4 ? 'repeat' : unanswered < maxUnanswered ? 'next-way' : 'stop';",
    scenarios: ['refused-sends'],
  },
  {
    name: 'age-by-the-producers-clock',
    file: 'src/records/own-retry.ts',
    find: 'return Math.min(time, storeTimestamp);',
    replace: 'return Math.min(time, message.bornTimestamp);',
    scenarios: ['aged'],
  },
  {
    name: 'a-retry-is-young-again',
    file: 'src/records/own-retry.ts',
    find: 'return Math.min(time, storeTimestamp);',
    replace: 'return Math.max(time, storeTimestamp);',
    scenarios: ['aged'],
  },
  {
    name: 'batch-limits-are-not-stored',
    file: 'src/puller/lease-keeper.ts',
    find: 'return limits.length === 0 ? undefined : limits;',
    replace: 'return limits.length >= 0 ? undefined : limits;',
    scenarios: ['slow-failures'],
  },
  {
    name: 'suspect-is-not-committed',
    file: 'src/puller/settlement.ts',
    find: 'await commits.commitFinally();\n    await leaseKeeper.renew();',
    replace: '',
    scenarios: ['poisons'],
  },
  {
    name: 'crash-record-is-not-written-at-the-start',
    file: 'src/puller/work-queue.ts',
    find: 'if (start.outdatesItem || outdatesCrash) await leaseKeeper.renew();',
    replace: 'if (start.outdatesItem) await leaseKeeper.renew();',
    scenarios: ['poisons'],
  },
  {
    name: 'one-retry-too-many',
    file: 'src/puller/settlement.ts',
    find: 'maxFailures: maxReconsumeTimes(subscription, message),',
    replace: 'maxFailures: maxReconsumeTimes(subscription, message) + 1,',
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
    find: "return { kind: 'not-taken', failure: overallFailure(failures), unanswered };",
    replace: "return { kind: 'taken' };",
    scenarios: ['refused-sends'],
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
    name: 'destination-is-not-waited-for',
    file: 'src/puller/dead-letter.ts',
    find: '(signal) => deliver(parts, failed, subscription, onFailure, signal),',
    replace:
      'async (signal) => void deliver(parts, failed, subscription, onFailure, signal).catch(() => {}),',
    scenarios: ['on-failure'],
  },
  {
    name: 'destination-that-hangs-is-waited-for',
    file: 'src/puller/call-in-time.ts',
    find: 'await Promise.race([call(signal), givenUp]);',
    replace: 'await call(new AbortController().signal);',
    scenarios: ['on-failure'],
  },
  {
    name: 'refusal-of-the-destination-counts-as-stored',
    file: 'src/puller/dead-letter.ts',
    find: "parts.counts.count('OnFailureDestinationDeliveryErrorCount');",
    replace: "parts.counts.count('OnFailureDestinationDeliveryErrorCount');\n    return 'taken';",
    scenarios: ['on-failure'],
  },
  {
    name: 'dead-letter-before-its-end-is-noted',
    file: 'src/puller/end-intents.ts',
    find: 'if (!isCounted) await this.#writes.run();',
    replace: '',
    scenarios: ['dying-ends'],
  },
  {
    name: 'found-dead-letter-is-not-counted-any-more',
    file: 'src/puller/dead-letter.ts',
    find: 'await endIntents.begin(entry, true);',
    replace: '',
    scenarios: ['dying-ends'],
  },
  {
    name: 'noted-end-is-not-looked-for',
    file: 'src/puller/pending-ends.ts',
    find: 'inDoubtSince: countedBefore > 0 ? storedAt : undefined,',
    replace: 'inDoubtSince: countedBefore < 0 ? storedAt : undefined,',
    scenarios: ['dying-ends'],
  },
  {
    name: 'drop-goes-to-the-dlq',
    file: 'src/decide/settle/settlement-rules.ts',
    find: "if (redelivery.kind === 'drop') return DROP;",
    replace:
      "if (redelivery.kind === 'drop') return { kind: 'dead-letter', condition: 'RejectedByHandler' };",
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
    name: 'others-are-done-behind-a-handler-that-stopped',
    file: 'src/decide/order/ends-in-order.ts',
    find: 'isBehindFailed = true;',
    replace: 'isBehindFailed = false;',
    scenarios: ['ordered-by-key'],
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
    find: 'if (now < this.#handlersRunUntil) return false;',
    replace: '',
    scenarios: ['slow-functions', 'ordered-by-queue'],
  },
  {
    name: 'a-cold-start-is-not-waited-for',
    file: 'src/decide/budget/handler-run-time.ts',
    find: "(invocation === 'function' ? MAX_START_MS : 0)",
    replace: "(invocation === 'function' ? 0 : MAX_START_MS)",
    scenarios: ['slow-functions', 'ordered-by-queue'],
  },
  {
    name: 'each-lease-waits-anew-for-functions',
    file: 'src/store/conditions.ts',
    find: 'return handlerTimeoutMs === undefined || handlersRunUntil > lease.leaseUntil',
    replace: 'return handlerTimeoutMs === undefined || handlersRunUntil < 0',
    scenarios: ['deaths-in-a-row'],
  },
  {
    name: 'attempts-are-forgotten',
    file: 'src/decide/order/attempts.ts',
    find: 'if (localRetries > 0) counts.set(offset, localRetries);',
    replace: 'if (localRetries > 1_000) counts.set(offset, localRetries);',
    scenarios: ['short-lived-order', 'ordered-by-queue'],
  },
];

const POP: readonly Mutant[] = [
  {
    name: 'popped-failure-is-acknowledged',
    file: 'src/puller/popped-ends.ts',
    find: 'await makeVisible(parts, entry, delayMs);',
    replace: 'await acknowledge(parts, entry);',
    scenarios: ['pop'],
  },
  {
    name: 'popped-poison-has-no-end',
    file: 'src/decide/batch/why-unhandled.ts',
    find: 'return brokerFailures - maxReconsumeTimes;',
    replace: 'return brokerFailures - maxReconsumeTimes - 1_000;',
    scenarios: ['pop-poison'],
  },
  {
    name: 'popped-messages-are-not-prolonged',
    file: 'src/puller/popped-messages.ts',
    find: 'if (this.#prolonging) return;',
    replace: 'if (!this.#prolonging) return;',
    scenarios: ['pop-slow'],
  },
  {
    name: 'popped-messages-never-become-visible',
    file: 'src/decide/pop/invisible-time.ts',
    find: 'return now < visibleAt - SAFETY_MS;',
    replace: 'return now < visibleAt + 3_600_000;',
    scenarios: ['pop', 'pop-slow'],
  },
  {
    name: 'pops-reserve-no-memory',
    file: 'src/decide/pull/memory-budget.ts',
    find: 'const own = Math.min(this.room, this.#budget.share - this.#stored);',
    replace:
      'if (this.#stored >= 0) return { count: max, mayWait: patient };\n    const own = Math.min(this.room, this.#budget.share - this.#stored);',
    also: {
      file: 'src/decide/pull/memory-budget.ts',
      find: 'if (!this.#large && !this.#budget.large.take(this, 1, now)) return false;',
      replace: '',
    },
    scenarios: ['pop-memory'],
  },
];

const LIFE: readonly Mutant[] = [
  {
    name: 'more-calls-than-the-limit',
    file: 'src/puller/slot-share.ts',
    find: 'if (this.#free > 0) {',
    replace: 'if (this.#free > -9) {',
    scenarios: ['limited'],
  },
  {
    name: 'no-reserve-at-the-end',
    file: 'src/decide/budget/time-budget.ts',
    find: 'export const RESERVE_MS = 8_000;',
    replace: 'export const RESERVE_MS = 500;',
    scenarios: ['deadline', 'short-lived'],
  },
  {
    name: 'timer-is-left-behind',
    file: 'src/client/connection.ts',
    find: 'clearTimeout(timer);\n        unlink();\n        this.#pending.delete(opaque);',
    replace: 'unlink();\n        this.#pending.delete(opaque);',
    scenarios: ['steady'],
  },
  {
    name: 'rejection-without-a-handler',
    file: 'src/puller/watch-queue.ts',
    find: 'loops.then(onEnd, onEnd);',
    replace: "loops.then(onEnd, onEnd).then(() => Promise.reject(new Error('not handled')));",
    scenarios: ['steady'],
  },
  {
    name: 'no-flow-control',
    file: 'src/decide/pull/memory-budget.ts',
    find: 'return Math.max(0, Math.min(room, free));',
    replace: 'return Number.MAX_SAFE_INTEGER - Math.min(room, free);',
    scenarios: ['memory'],
  },
  {
    name: 'listener-is-left-behind',
    file: 'src/client/connection.ts',
    find: 'unlink();\n        this.#pending.delete(opaque);',
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
    name: 'other-members-are-ignored',
    file: 'src/membership/allocate-among-members.ts',
    find: 'const ids = members.get(topic) ?? [];',
    replace: 'const ids = (members.get(topic) ?? []).filter((id) => own.includes(id));',
    scenarios: ['java-members'],
  },
  {
    name: 'retry-queue-is-never-worked',
    file: 'src/decide/dispatch/which-to-invoke.ts',
    find: "if (!isLive(lease, now)) return 'free';",
    replace:
      "if (!isLive(lease, now)) return slot === 'foreign' || lease !== undefined ? 'held' : 'free';",
    scenarios: ['lambda'],
  },
];

const CLOCKS: readonly Mutant[] = [
  {
    name: 'lease-ends-by-a-clock-that-is-ahead',
    file: 'src/decide/lease/lease.ts',
    find: 'endedBefore: now - TAKEOVER_MARGIN_MS,',
    replace: 'endedBefore: now,',
    scenarios: ['skewed'],
  },
  {
    name: 'renewal-overwrites-a-commit-in-the-table',
    file: 'src/puller/queue-mirrors.ts',
    find: '...(!(isStore && offsets.isUnderWay) && {',
    replace: '...({',
    scenarios: ['broadcasting-deaths'],
  },
  {
    name: 'deadline-of-a-lease-by-a-clock-that-is-ahead',
    file: 'src/decide/lease/lease.ts',
    find: 'deadlineBefore: now - MAX_CLOCK_SKEW_MS }',
    replace: 'deadlineBefore: now - TAKEOVER_MARGIN_MS }',
    scenarios: ['skewed'],
  },
];

const BATCHES: readonly Mutant[] = [
  {
    name: 'isolation-takes-one-message-after-the-other',
    file: 'src/decide/batch/bisect.ts',
    find: 'Math.ceil(count / 2) : 1;',
    replace: '1 : 1;',
    scenarios: ['isolation'],
  },
  {
    name: 'isolation-never-ends',
    file: 'src/puller/split.ts',
    find: "return this.#inHalves && this.#ends === 'alike' && errorType === this.#errorType;",
    replace: 'return false;',
    scenarios: ['all-poison'],
  },
  {
    name: 'half-that-failed-like-the-other-is-not-counted',
    file: 'src/puller/settlement.ts',
    find: "case 'each-failed':",
    replace:
      "case 'each-failed':\n        if (deliveries.length > 1) {\n          this.putBack(batch);\n          return [];\n        }",
    scenarios: ['all-poison'],
  },
  {
    name: 'good-messages-fail-with-a-bad-one-to-the-end',
    file: 'src/decide/batch/goes-alone.ts',
    find: 'if (failures === 0) return false;',
    replace: 'return false;',
    scenarios: ['blaming-tools'],
  },
  {
    name: 'good-messages-age-with-a-bad-one',
    file: 'src/decide/batch/goes-alone.ts',
    find: 'return maxAgeMs !== undefined && ageMs >= maxAgeMs / AGE_STEP;',
    replace: 'return false;',
    scenarios: ['blaming-tools'],
  },
  {
    name: 'batch-of-a-backlog-goes-half-empty',
    file: 'src/puller/batching-window.ts',
    find: 'fillsSince: hasBacklog ? fill.since(first, now) : undefined',
    replace: 'fillsSince: undefined',
    scenarios: ['backlog'],
  },
  {
    name: 'window-counts-what-patterns-drop',
    file: 'src/puller/sift-messages.ts',
    find: ": { kind: 'filtered-out' };",
    replace: ': PASSES;',
    scenarios: ['backlog'],
  },
];

const PROGRAMS: readonly Mutant[] = [
  {
    name: 'message-in-hand-counts-as-passed',
    file: 'src/consumer/read-messages.ts',
    find: 'cursor.messages.take(entry);',
    replace: 'cursor.messages.take(entry);\n        cursor.messages.settle(entry);',
    scenarios: ['programs'],
  },
  {
    name: 'next-loop-skips-what-the-last-one-had',
    file: 'src/consumer/queue-cursor.ts',
    find: 'this.messages.dropAll(this.messages.committable);\n    this.#reader?.memory.close();',
    replace: 'this.#reader?.memory.close();',
    scenarios: ['programs'],
  },
  {
    name: 'loop-ends-without-a-commit',
    file: 'src/consumer/read-messages.ts',
    find: 'if (this.#options.commitIntervalMs !== undefined) await this.#commit();',
    replace: '',
    scenarios: ['programs'],
  },
  {
    name: 'quiet-loop-does-not-notice-lost-commits',
    file: 'src/queue/offset-tracker.ts',
    find: "const mayBeLost = state.connectionLost && state.position === 'following';",
    replace: 'const mayBeLost = false;',
    scenarios: ['programs-without-a-broker'],
  },
  {
    name: 'topic-of-a-broker-that-came-back-is-gone',
    file: 'src/consumer/queue-reader.ts',
    find: 'await client.topicRoute(topic, { fresh: true });\n    return false;',
    replace: 'return true;',
    scenarios: ['programs-without-a-broker'],
  },
  {
    name: 'queues-that-come-later-are-not-read',
    file: 'src/consumer/read-messages.ts',
    find: 'this.#routesDueAt = now + routeIntervalMs;',
    replace: 'this.#routesDueAt = now + 10_000 * routeIntervalMs;',
    scenarios: ['programs'],
  },
  {
    name: 'closed-consumer-leaves-its-loops',
    file: 'src/consumer/pull-consumer.ts',
    find: 'await Promise.all([...this.#readings].map((reading) => reading.finish()));',
    replace: '',
    scenarios: ['programs'],
  },
];

const TAKE_OVER: readonly Mutant[] = [
  {
    name: 'take-over-leaves-the-old-item-open',
    file: 'src/store/take-over.ts',
    find: "if (!isHeld(old, now)) return { kind: 'close', write: close(old, now) };",
    replace: "if (!isHeld(old, now)) return { kind: 'copy', write: copy(old) };",
    scenarios: ['upgrade', 'upgrade-limited', 'upgrade-pop'],
  },
  {
    name: 'take-over-waits-for-no-holder',
    file: 'src/store/take-over.ts',
    find: "return isSealed(old) ? { kind: 'wait' } : { kind: 'seal', write: seal(old, now) };",
    replace: "return { kind: 'copy', write: copy(old) };",
    scenarios: ['upgrade', 'upgrade-limited', 'upgrade-pop'],
  },
  {
    name: 'take-over-copies-no-state',
    file: 'src/store/take-over-items.ts',
    find: "if (step.kind === 'copy') {",
    replace: "if (step.kind === 'copy') return 'absent';\n        if (step.kind === 'copy') {",
    scenarios: ['upgrade'],
  },
  {
    name: 'take-over-copies-again',
    file: 'src/store/take-over.ts',
    find: 'when: [clause.noItem],',
    replace: 'when: [],',
    scenarios: ['upgrade-limited'],
  },
];

export const MUTANTS: readonly Mutant[] = [
  ...OFFSETS,
  ...LIVES,
  ...LEASES,
  ...FAILURES,
  ...ORDER,
  ...POP,
  ...LIFE,
  ...CLOCKS,
  ...BATCHES,
  ...PROGRAMS,
  ...TAKE_OVER,
];
