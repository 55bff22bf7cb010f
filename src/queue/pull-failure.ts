import {
  BrokerError,
  GroupNotFoundError,
  InvalidFilterError,
  LimitExceededError,
  PermissionError,
  ProtocolError,
  RouteRefusedError,
  UnsupportedRequestError,
} from '../errors.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { PullFailure } from './pull-state.ts';

/** Refusals that no repetition changes: somebody has to give a right, make the group, or correct a filter. */
export function isFinalRefusal(error: unknown): boolean {
  return [PermissionError, GroupNotFoundError, InvalidFilterError, UnsupportedRequestError].some(
    (kind) => error instanceof kind,
  );
}

/** What an error of a pull says about the next one. */
export function pullFailureOf(error: unknown): PullFailure {
  if (isFinalRefusal(error)) return 'refused';
  // No message was asked for yet.
  if (error instanceof RouteRefusedError) return 'failed';
  if (error instanceof ProtocolError || error instanceof LimitExceededError) return 'unreadable';
  return error instanceof BrokerError && error.responseCode === ResponseCode.FLOW_CONTROL
    ? 'flow-control'
    : 'failed';
}

/** What an error says about a filter that a broker was to compile: one that has no filters answers SYSTEM_ERROR. */
export function filterFailureOf(error: unknown): PullFailure {
  return error instanceof BrokerError && error.responseCode === ResponseCode.SYSTEM_ERROR
    ? 'refused'
    : pullFailureOf(error);
}
