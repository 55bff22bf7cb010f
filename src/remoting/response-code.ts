/** Response codes of brokers and name servers. Mirrors ResponseCode and RemotingSysResponseCode. */
export const ResponseCode = {
  SUCCESS: 0,
  SYSTEM_ERROR: 1,
  SYSTEM_BUSY: 2,
  REQUEST_CODE_NOT_SUPPORTED: 3,
  FLUSH_DISK_TIMEOUT: 10,
  SLAVE_NOT_AVAILABLE: 11,
  FLUSH_SLAVE_TIMEOUT: 12,
  MESSAGE_ILLEGAL: 13,
  SERVICE_NOT_AVAILABLE: 14,
  NO_PERMISSION: 16,
  TOPIC_NOT_EXIST: 17,
  PULL_NOT_FOUND: 19,
  PULL_RETRY_IMMEDIATELY: 20,
  PULL_OFFSET_MOVED: 21,
  QUERY_NOT_FOUND: 22,
  SUBSCRIPTION_PARSE_FAILED: 23,
  SUBSCRIPTION_NOT_EXIST: 24,
  SUBSCRIPTION_NOT_LATEST: 25,
  SUBSCRIPTION_GROUP_NOT_EXIST: 26,
  FILTER_DATA_NOT_EXIST: 27,
  FILTER_DATA_NOT_LATEST: 28,
  INVALID_PARAMETER: 29,
  CONSUMER_NOT_ONLINE: 206,
  CONSUME_MSG_TIMEOUT: 207,
  NO_MESSAGE: 208,
  FLOW_CONTROL: 215,
  NOT_LEADER_FOR_QUEUE: 501,
  GO_AWAY: 1500,
} as const;

const names = new Map<number, string>(Object.entries(ResponseCode).map(([name, code]) => [code, name]));

export function responseName(code: number): string {
  return names.get(code) ?? 'response';
}

/** What a client does about a refusal, beside telling. */
export interface ResponseBehaviour {
  /** Passes by itself: wait and send again. */
  readonly retry?: true;
  /** The route that led there may be old: read it again, send again. */
  readonly refreshRoute?: true;
}

const behaviours = new Map<number, ResponseBehaviour>([
  [ResponseCode.SYSTEM_BUSY, { retry: true }],
  [ResponseCode.FLOW_CONTROL, { retry: true }],
  [ResponseCode.SERVICE_NOT_AVAILABLE, { retry: true, refreshRoute: true }],
  [ResponseCode.TOPIC_NOT_EXIST, { refreshRoute: true }],
  [ResponseCode.INVALID_PARAMETER, { refreshRoute: true }],
  [ResponseCode.NOT_LEADER_FOR_QUEUE, { refreshRoute: true }],
  [ResponseCode.GO_AWAY, { retry: true, refreshRoute: true }],
]);

export function responseBehaviour(code: number): ResponseBehaviour {
  return behaviours.get(code) ?? {};
}
