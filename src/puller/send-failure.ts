import type { SendFailure } from '../decide/retry/send-steps.ts';
import {
  BrokerError,
  ConnectionError,
  GroupNotFoundError,
  PermissionError,
  ProtocolError,
  RequestTimeoutError,
  RouteRefusedError,
  TopicNotFoundError,
  UnsupportedRequestError,
} from '../errors.ts';
import { ResponseCode, responseBehaviour } from '../remoting/response-code.ts';

/** Remarks of SYSTEM_ERROR for a broker that stores nothing now and may do so later. Names of PutMessageStatus, and the sentences that sends get. */
const BUSY_REMARK =
  /\bbusy\b|_BUSY|flow control|service not available|SERVICE_NOT_AVAILABLE|disk full|disk is full|MAP(PE|E)D_?FILE_FAILED|create mapped file failed|IN_SYNC_REPLICAS_NOT_ENOUGH|in-sync replicas not enough|PUT_TO_REMOTE_BROKER_FAIL/i;

const FORBIDDEN_CODES: ReadonlySet<number> = new Set([
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
  ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
  ResponseCode.VERSION_NOT_SUPPORTED,
]);

/** What an error of a send says about the message: was it stored, and may a repetition help? */
export function sendFailureOf(error: unknown): SendFailure {
  if (
    [PermissionError, GroupNotFoundError, UnsupportedRequestError, TopicNotFoundError].some(
      (kind) => error instanceof kind,
    )
  )
    return 'forbidden';
  if (error instanceof RequestTimeoutError) return 'unanswered';
  if (error instanceof ConnectionError) return error.maybeSent ? 'unanswered' : 'unreachable';
  // The send needs a route first.
  if (error instanceof RouteRefusedError) return 'unreachable';
  // The broker answered, and the answer cannot be read.
  if (error instanceof ProtocolError) return 'unanswered';
  if (!(error instanceof BrokerError)) return 'refused';
  const { responseCode, remark = '' } = error;
  if (responseBehaviour(responseCode).retry === true) return 'busy';
  if (FORBIDDEN_CODES.has(responseCode)) return 'forbidden';
  return responseCode === ResponseCode.SYSTEM_ERROR && BUSY_REMARK.test(remark)
    ? 'busy'
    : 'refused';
}
