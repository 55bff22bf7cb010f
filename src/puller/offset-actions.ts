import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { OffsetAction, OffsetFinding } from '../queue/offset-tracker.ts';
import { printable } from '../queue/printable.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import type { LocalAttempts } from './counted-attempts.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import type { BatchLimits } from './kept-batch-limits.ts';
import type { KnownQueue } from './known-queue.ts';
import type { QueueCounts } from './queue-counts.ts';

interface OffsetParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly messages: Pick<ProcessQueue, 'dropAll'>;
  readonly attempts: Pick<LocalAttempts, 'clear'>;
  readonly batchLimits: Pick<BatchLimits, 'clear'>;
  readonly crash: Pick<CrashKeeper, 'restart'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'interruptPull'>;
  readonly wakeup: Pick<Wakeup, 'all'>;
  readonly known: Pick<KnownQueue, 'committed'>;
  readonly counts: Pick<QueueCounts, 'count'>;
}

/** Carries out what the offset tracker decides, except its requests to the store. */
export function performOffsetAction(
  parts: OffsetParts,
  action: Exclude<OffsetAction, { type: 'read' | 'write' }>,
): void {
  switch (action.type) {
    case 'restart':
      parts.attempts.clear();
      parts.batchLimits.clear();
      parts.messages.dropAll(action.at);
      parts.crash.restart(action.at);
      parts.lifecycle.interruptPull();
      parts.wakeup.all();
      break;
    case 'pull-from-master':
      parts.lifecycle.interruptPull();
      break;
    case 'report':
      report(parts, action.finding);
  }
}

function report({ clock, counts, known, logger }: OffsetParts, finding: OffsetFinding): void {
  if (finding.kind === 'committed') {
    if (finding.from !== undefined && finding.to > finding.from) {
      counts.count('CommittedEventCount', Number(finding.to - finding.from));
      known.committed(clock.now());
    }
    return;
  }
  if (finding.kind === 'committed-again') {
    known.committed(clock.now());
    return;
  }
  const { kind, ...offsets } = finding;
  const { code, message } = FINDINGS[kind];
  logger.warn({ code, ...printable(offsets) }, message);
}

const FINDINGS = {
  'commits-lost': {
    code: 'ROCKETMQ_COMMITS_LOST',
    message: 'the broker lost commits, committing again',
  },
  'changed-by-others': {
    code: 'ROCKETMQ_OFFSET_CHANGED',
    message: 'stored offset changed by another client, resuming there',
  },
  'reset-pending': {
    code: 'ROCKETMQ_OFFSET_RESET',
    message: 'offset reset by an operator, pulling to learn the new offset',
  },
  'reset-resolved': {
    code: 'ROCKETMQ_OFFSET_RESET',
    message: 'offset reset detected, resuming at the stored offset',
  },
} as const;
