import type { MessageQueue, PopUnit } from '../../model/message-queue.ts';
import type { SourceConfig } from '../../model/source.ts';

/**
 * What pullers are assigned in POP mode, in the place of a topic's queues: places at its brokers. The broker itself
 * hands out the messages of all its queues, so one place per broker does for any number of queues; `pullers: N` makes at least N.
 */
export function popUnits(
  queues: readonly MessageQueue[],
  pullers: SourceConfig['pullers'],
): PopUnit[] {
  const brokers = [...Map.groupBy(queues, ({ brokerName }) => brokerName)];
  const wanted = pullers === 'queue' ? brokers.length : Math.max(pullers, brokers.length);
  return brokers.flatMap(([brokerName, ofBroker], index) => {
    const count = Math.floor(wanted / brokers.length) + (index < wanted % brokers.length ? 1 : 0);
    return ofBroker
      .slice(0, 1)
      .flatMap(({ topic }) =>
        Array.from(
          { length: count },
          (_, queueId): PopUnit => ({ topic, brokerName, queueId, pops: true }),
        ),
      );
  });
}
