import { type OperatorCommand, requestName } from '../model/operator-commands.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { cut, refused } from './operator-error.ts';

/**
 * Refuses a command that this function does not carry out.
 * @param allowed absent: all
 */
export function requireAllowed(
  command: string,
  allowed: readonly OperatorCommand[] | undefined,
): void {
  if (allowed?.some((each) => requestName(each) === command) === false)
    refused(
      `command ${command} is not allowed in this function, which carries out ${allowed.join(', ') || 'none'}: invoke another function, or change custom.rocketmq.operator in serverless.yml`,
    );
}

/**
 * Refuses messages to topics that no group of the service subscribes to, unless `custom.rocketmq.operator.topics` names them. The right to invoke the
 * operator function is a right on the service, not on the cluster.
 */
export function requireSendable(
  { service }: Pick<OperatorDeps, 'service'>,
  cluster: string,
  topic: string,
): void {
  const more = service.operator?.topics ?? [];
  const own = service.sources
    .filter((source) => source.cluster === cluster)
    .flatMap(({ subscriptions }) => subscriptions.map((each) => each.topic));
  if (more === 'any' || own.includes(topic) || more.includes(topic)) return;
  refused(
    `topic "${cut(topic)}" is not one of this service's (${own.join(', ') || 'none'}): add it to custom.rocketmq.operator.topics in serverless.yml, or use mqadmin`,
  );
}
