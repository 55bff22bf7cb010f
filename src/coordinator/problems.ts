import { RocketMQError } from '../errors.ts';
import type { Logger } from '../ports/logger.ts';

/** Something that went wrong for one topic, broker or group, and stopped nothing else. */
export interface Problem {
  /** Stable code of errors.ts; UNEXPECTED for what is none of ours. */
  readonly code: string;
  readonly message: string;
  readonly topic?: string;
  readonly brokerName?: string;
}

export interface Problems {
  /** Logs it, once per run and place. */
  add(error: unknown, where?: { topic?: string; brokerName?: string }): void;
  all(): Problem[];
}

/** Advice for errors that know only an address. The others carry theirs in the message. */
const ADVICE: Readonly<Record<string, string>> = {
  ROCKETMQ_CONNECTION:
    'check nameServers and addressMap of the cluster, that the function is in a network that reaches them, and that the broker runs',
  ROCKETMQ_REQUEST_TIMEOUT: 'the server is overloaded, or a firewall drops its packets',
};

export function createProblems(logger: Logger): Problems {
  const seen = new Map<string, Problem>();
  return {
    add(error, where = {}) {
      const code = error instanceof RocketMQError ? error.code : 'UNEXPECTED';
      const text = error instanceof Error ? error.message : String(error);
      const advice = ADVICE[code];
      const problem: Problem = {
        code,
        message: advice === undefined ? text : `${text}: ${advice}`,
        ...where,
      };
      const key = JSON.stringify([code, where.topic, where.brokerName, text]);
      if (seen.has(key)) return;
      seen.set(key, problem);
      logger.error({ code, ...where, err: error }, problem.message);
    },
    all: () => [...seen.values()],
  };
}
