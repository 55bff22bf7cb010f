import type { RemotingCommand } from '../../remoting/command.ts';
import { RequestCode as Code } from '../../remoting/request-code.ts';
import { ResponseCode } from '../../remoting/response-code.ts';
import { checkClientConfig } from '../../requests/check-client-config.ts';
import { createGroup } from '../../requests/create-group.ts';
import { createTopic } from '../../requests/create-topic.ts';
import type { RequestDefinition } from '../../requests/define-request.ts';
import { FieldReader } from '../../requests/define-request.ts';
import { getBrokerInfo } from '../../requests/get-broker-info.ts';
import { getConsumerConnections } from '../../requests/get-consumer-connections.ts';
import { getConsumerList } from '../../requests/get-consumer-list.ts';
import { getEarliestStoreTime } from '../../requests/get-earliest-store-time.ts';
import { getMaxOffset } from '../../requests/get-max-offset.ts';
import { getMinOffset } from '../../requests/get-min-offset.ts';
import { heartbeat } from '../../requests/heartbeat.ts';
import { lockQueues, unlockQueues } from '../../requests/lock-queues.ts';
import { pullMessage } from '../../requests/pull-message.ts';
import { queryConsumerOffset } from '../../requests/query-offset.ts';
import { searchOffset } from '../../requests/search-offset.ts';
import { sendMessageBack } from '../../requests/send-back.ts';
import { sendBatchMessage, sendMessage, sendMessageV1 } from '../../requests/send-message.ts';
import { unregisterClient } from '../../requests/unregister-client.ts';
import { updateConsumerOffset } from '../../requests/update-offset.ts';
import type { ServerConnection } from '../tcp-server.ts';
import type { Answer } from './answer.ts';
import { refuse } from './answer.ts';
import type { BrokerState } from './broker-state.ts';
import * as admin from './handlers/admin.ts';
import * as locks from './handlers/locks.ts';
import * as members from './handlers/members.ts';
import * as offsets from './handlers/offsets.ts';
import { pull } from './handlers/pull.ts';
import { send } from './handlers/send.ts';
import { sendBack } from './handlers/send-back.ts';
import type { Channel } from './member-table.ts';

/** One request on its way. */
export interface Incoming {
  readonly command: RemotingCommand;
  readonly connection: ServerConnection;
  /** The connection as the member table knows it. */
  readonly channel: Channel;
  /** Called once, now or later. */
  readonly answer: (answer: Answer) => void;
}

/** Answers at once, or later through `incoming.answer`. */
type Handler = (broker: BrokerState, incoming: Incoming) => Answer | undefined;

/** A request whose definition reads it. */
function defined<Request>(
  definition: Pick<RequestDefinition<Request, never>, 'code' | 'decode'>,
  handle: (broker: BrokerState, request: Request, incoming: Incoming) => Answer | undefined,
): [number, Handler] {
  return [
    definition.code,
    (broker, incoming) => handle(broker, definition.decode(incoming.command), incoming),
  ];
}

/** A request that no client of ours sends, read here. */
function named(
  code: number,
  handle: (broker: BrokerState, fields: FieldReader) => Answer,
): [number, Handler] {
  return [
    code,
    (broker, { command }) => handle(broker, new FieldReader(command, `request ${code}`)),
  ];
}

const pullLater: Handler = (broker, { command, connection, answer }) => {
  pull(broker, pullMessage.decode(command), { remoteAddress: connection.remoteAddress, answer });
  return undefined;
};

const sendFrom = (
  broker: BrokerState,
  request: ReturnType<typeof sendMessage.decode>,
  { command, connection }: Incoming,
) => send(broker, request, { host: connection.remoteHost, version: command.version });

const handlers: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [Code.PULL_MESSAGE, pullLater],
  [Code.LITE_PULL_MESSAGE, pullLater],
  defined(sendMessage, sendFrom),
  defined(sendMessageV1, sendFrom),
  defined(sendBatchMessage, sendFrom),
  defined(sendMessageBack, (broker, request, { command }) =>
    sendBack(broker, request, command.version),
  ),
  defined(queryConsumerOffset, offsets.queryConsumerOffset),
  defined(updateConsumerOffset, offsets.updateConsumerOffset),
  defined(searchOffset, offsets.searchOffset),
  defined(getMaxOffset, offsets.getMaxOffset),
  defined(getMinOffset, offsets.getMinOffset),
  defined(getEarliestStoreTime, offsets.getEarliestMsgStoretime),
  named(Code.DELETE_TOPIC_IN_BROKER, (broker, fields) =>
    admin.deleteTopic(broker, fields.string('topic')),
  ),
  named(Code.INVOKE_BROKER_TO_RESET_OFFSET, (broker, fields) =>
    offsets.resetOffset(broker, {
      topic: fields.string('topic'),
      group: fields.string('group'),
      timestamp: fields.long('timestamp'),
      queueId: fields.optionalInt('queueId'),
      offset: fields.optionalLong('offset'),
    }),
  ),
  defined(heartbeat, (broker, request, { command, channel }) => {
    // The real broker says NullPointerException.
    if (command.body.length === 0)
      return refuse(
        ResponseCode.SYSTEM_ERROR,
        'java.lang.NullPointerException: the heartbeat is empty',
      );
    return members.heartbeat(broker, request, channel, command);
  }),
  defined(unregisterClient, (broker, request, { channel }) =>
    members.unregisterClient(broker, request, channel),
  ),
  defined(getConsumerList, (broker, { consumerGroup }) =>
    members.consumerList(broker, consumerGroup),
  ),
  defined(getConsumerConnections, (broker, { consumerGroup }) =>
    members.consumerConnections(broker, consumerGroup),
  ),
  defined(checkClientConfig, (_broker, { subscription }) =>
    members.checkClientConfig(subscription?.expressionType ?? ''),
  ),
  defined(lockQueues, locks.lockQueues),
  defined(unlockQueues, locks.unlockQueues),
  defined(getBrokerInfo, admin.getBrokerInfo),
  defined(createTopic, admin.updateAndCreateTopic),
  defined(createGroup, admin.updateAndCreateGroup),
  named(Code.GET_TOPIC_CONFIG, (broker, fields) =>
    admin.getTopicConfig(broker, fields.string('topic')),
  ),
  named(Code.GET_CONSUME_STATS, (broker, fields) =>
    admin.getConsumeStats(broker, fields.string('consumerGroup'), fields.optionalString('topic')),
  ),
]);

/** Gives the request to its handler. A handler that throws is a SYSTEM_ERROR, as in the real broker. */
export function dispatch(broker: BrokerState, incoming: Incoming): void {
  const { command, answer } = incoming;
  const handler = handlers.get(command.code);
  if (handler === undefined) {
    answer(
      refuse(
        ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        ` request type ${command.code} not supported`,
      ),
    );
    return;
  }
  try {
    const now = handler(broker, incoming);
    if (now !== undefined) answer(now);
  } catch (error) {
    answer(refuse(ResponseCode.SYSTEM_ERROR, String(error)));
  }
}
