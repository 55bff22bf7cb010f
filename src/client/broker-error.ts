import {
  BrokerError,
  GroupNotFoundError,
  InvalidFilterError,
  PermissionError,
  type RocketMQError,
  UnsupportedRequestError,
} from '../errors.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import { ResponseCode, responseName } from '../remoting/response-code.ts';

/** The named error of an answer whose code means no. */
export function brokerError(
  request: string,
  address: string,
  answer: RemotingCommand,
): RocketMQError {
  const { code, remark } = answer;
  if (isPermissionRefusal(answer))
    return new PermissionError(
      request,
      address,
      code,
      responseName(code),
      remark,
      'ROCKETMQ_PERMISSION',
      'Check accessKey and secretKey of the cluster, and that the user may Sub and Get the topic and the group, and that both are readable',
    );
  switch (code) {
    case ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST:
      return new GroupNotFoundError(
        request,
        address,
        code,
        responseName(code),
        remark,
        'ROCKETMQ_GROUP_NOT_FOUND',
        'The broker does not create groups by itself: create it (mqadmin updateSubGroup -g <group> …), with a name under 200 characters',
      );
    case ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
      return new UnsupportedRequestError(
        request,
        address,
        code,
        responseName(code),
        remark,
        'ROCKETMQ_UNSUPPORTED',
        'The broker is too old for it: mode pop needs RocketMQ 5.0 or later',
      );
    case ResponseCode.SUBSCRIPTION_PARSE_FAILED:
      return new InvalidFilterError(
        `${address} does not take the filter: ${remark ?? 'no reason given'}`,
      );
    default:
      return new BrokerError(request, address, code, responseName(code), remark);
  }
}

/** Wrong credentials or a missing right: other credentials may be let in. */
export function isPermissionRefusal({ code, remark }: RemotingCommand): boolean {
  return code === ResponseCode.NO_PERMISSION || isAclRefusal(code, remark);
}

/** ACL 1.0 (4.9, early 5.x) refuses with SYSTEM_ERROR and the text of an AclException. */
function isAclRefusal(code: number, remark: string | undefined): boolean {
  return (
    code === ResponseCode.SYSTEM_ERROR &&
    remark !== undefined &&
    /AclException|No accessKey|check signature failed|has no permission|No default permission/i.test(
      remark,
    )
  );
}
