import type { Fault } from '../plan.ts';
import type { Stage } from './stage.ts';

/** Runs a command of the operator function, and notes what it confirms. */
export function operate(
  { command, queueId, ms }: Extract<Fault, { readonly kind: 'operator' }>,
  stage: Stage,
): void {
  const group = stage.plan.source.consumerGroup;
  const queue = `${stage.plan.topics[0]!.name}/${stage.plan.brokers[0]}/${queueId}`;
  stage.note(`operator: ${command} ${queue}`);
  const confirm = (stored: string | undefined): void => {
    if (stored !== undefined) stage.skipped(queue, BigInt(stored), true);
  };
  const { processes } = stage;
  switch (command) {
    case 'pause':
      processes.startOperator('pause', { group, for: Math.ceil(ms / 1000) }, (answer) => {
        stage.log('answer of pause', answer);
        if (!answer.ok) return;
        const { groups } = answer.answer as { groups: readonly { readonly pausedUntil: number }[] };
        stage.paused(groups[0]?.pausedUntil ?? 0);
      });
      return;
    case 'skip': {
      const args = { group, queue, offset: String(stage.committed(queue)) };
      processes.startOperator('skip', args, (answer) => {
        stage.log('answer of skip', answer);
        if (answer.ok) confirm((answer.answer as { readonly stored?: string }).stored);
      });
      return;
    }
    case 'reset':
      processes.startOperator('reset', { group, queue, to: 'last' }, (answer) => {
        stage.log('answer of reset', answer);
        if (!answer.ok) return;
        const { queues } = answer.answer as { queues: readonly { readonly stored?: string }[] };
        for (const { stored } of queues) confirm(stored);
      });
  }
}
