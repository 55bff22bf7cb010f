import { ProtocolError } from '../errors.ts';
import type { MemberAnswers } from '../ports/rocketmq.ts';
import { decodeRecords } from '../records/decode-records.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import type { Limits } from '../remoting/limits.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { RequestDefinition } from '../requests/define-request.ts';
import {
  consumeDirectly,
  getRunningInfo,
  notifyConsumerIdsChanged,
  resetClientOffsets,
} from '../requests/member-requests.ts';
import type { ServerRequestAnswer } from './connection.ts';

/**
 * Takes what a broker asks of a member and puts the answer into Java's words; undefined: a request of another kind. Mirrors ClientRemotingProcessor.
 * @throws ProtocolError for what cannot be read
 */
export async function answerMemberRequest(
  answers: MemberAnswers,
  command: RemotingCommand,
  limits: Limits,
): Promise<ServerRequestAnswer | undefined> {
  switch (command.code) {
    case RequestCode.NOTIFY_CONSUMER_IDS_CHANGED:
      answers.idsChanged(notifyConsumerIdsChanged.decode(command).consumerGroup);
      return { code: ResponseCode.SUCCESS };
    case RequestCode.RESET_CONSUMER_CLIENT_OFFSET: {
      const { consumerGroup, offsets } = resetClientOffsets.decode(command);
      answers.resetOffsets(consumerGroup, offsets);
      return { code: ResponseCode.SUCCESS };
    }
    case RequestCode.GET_CONSUMER_RUNNING_INFO: {
      const { consumerGroup } = getRunningInfo.decode(command);
      return answerWith(getRunningInfo, consumerGroup, answers.info(consumerGroup));
    }
    case RequestCode.CONSUME_MESSAGE_DIRECTLY: {
      const { consumerGroup, brokerName, stored } = consumeDirectly.decode(command);
      const { messages, undecodable } = decodeRecords(stored, {
        brokerName,
        maxDecompressedBytes: limits.maxDecompressedBytes,
      });
      const message = messages[0];
      if (message === undefined)
        throw undecodable[0]?.error ?? new ProtocolError('a direct delivery without a message');
      return answerWith(
        consumeDirectly,
        consumerGroup,
        await answers.consumeDirectly(consumerGroup, message),
      );
    }
    default:
      return undefined;
  }
}

function answerWith<Request, Answer>(
  definition: RequestDefinition<Request, Answer>,
  consumerGroup: string,
  answer: Answer | undefined,
): ServerRequestAnswer {
  if (answer !== undefined)
    return { code: ResponseCode.SUCCESS, ...definition.encodeAnswer(answer) };
  return {
    code: ResponseCode.SYSTEM_ERROR,
    remark: `The Consumer Group <${consumerGroup}> not exist in this consumer`,
  };
}
