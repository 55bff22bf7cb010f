import { RequestCode, requestName } from '../remoting/request-code.ts';

/** Codes that only the embedded broker knows beside those of the client. */
export const EmbeddedRequestCode = {
  ...RequestCode,
  GET_EARLIEST_MSG_STORETIME: 32,
  GET_CONSUME_STATS: 208,
  GET_TOPIC_CONFIG: 351,
  LITE_PULL_MESSAGE: 361,
} as const;

export type RequestName = keyof typeof EmbeddedRequestCode;

const names = new Map<number, string>(Object.entries(EmbeddedRequestCode).map(([name, code]) => [code, name]));

export function embeddedRequestName(code: number): string {
  return names.get(code) ?? requestName(code);
}
