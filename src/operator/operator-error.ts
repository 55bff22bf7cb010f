import { RocketMQError } from '../errors.ts';

/**
 * Why a command of an operator was not carried out:
 * - ROCKETMQ_OPERATOR_USAGE: an option is missing, wrong or unknown;
 * - ROCKETMQ_OPERATOR_NOT_FOUND: no such group, topic, queue or message;
 * - ROCKETMQ_OPERATOR_REFUSED: it would do harm, or cannot be done as things are; the message says what to do first;
 * - ROCKETMQ_OPERATOR_NOT_CONFIRMED: nobody confirmed what cannot be undone;
 * - ROCKETMQ_OPERATOR_UNREACHABLE: the operator function cannot be invoked.
 */
export type OperatorErrorCode =
  | 'ROCKETMQ_OPERATOR_USAGE'
  | 'ROCKETMQ_OPERATOR_NOT_FOUND'
  | 'ROCKETMQ_OPERATOR_REFUSED'
  | 'ROCKETMQ_OPERATOR_NOT_CONFIRMED'
  | 'ROCKETMQ_OPERATOR_UNREACHABLE';

export class OperatorError extends RocketMQError {
  constructor(code: OperatorErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

const MAX_SHOWN = 100;

/** A text of a request in a message or log: its beginning. */
export function cut(text: string): string {
  return text.length <= MAX_SHOWN
    ? text
    : `${text.slice(0, MAX_SHOWN)}… (${text.length} characters)`;
}

export function usage(message: string): never {
  throw new OperatorError('ROCKETMQ_OPERATOR_USAGE', message);
}

export function notFound(message: string): never {
  throw new OperatorError('ROCKETMQ_OPERATOR_NOT_FOUND', message);
}

export function refused(message: string): never {
  throw new OperatorError('ROCKETMQ_OPERATOR_REFUSED', message);
}
