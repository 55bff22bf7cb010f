/** Response codes of brokers and name servers. Mirrors ResponseCode and RemotingSysResponseCode. */
export const ResponseCode = {
  SUCCESS: 0,
  SYSTEM_ERROR: 1,
  SYSTEM_BUSY: 2,
  REQUEST_CODE_NOT_SUPPORTED: 3,
  TRANSACTION_FAILED: 4,
  FLUSH_DISK_TIMEOUT: 10,
  SLAVE_NOT_AVAILABLE: 11,
  FLUSH_SLAVE_TIMEOUT: 12,
  MESSAGE_ILLEGAL: 13,
  SERVICE_NOT_AVAILABLE: 14,
  VERSION_NOT_SUPPORTED: 15,
  NO_PERMISSION: 16,
  TOPIC_NOT_EXIST: 17,
  TOPIC_EXIST_ALREADY: 18,
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
  POLLING_FULL: 209,
  POLLING_TIMEOUT: 210,
  BROADCAST_CONSUMPTION: 213,
  FLOW_CONTROL: 215,
  NOT_LEADER_FOR_QUEUE: 501,
  GO_AWAY: 1500,
} as const;

/** What a client does about a code, beside telling. No flag: the code is an ordinary answer, or the request decides. */
export interface ResponseBehaviour {
  /** As Java writes it; `RESPONSE_<code>` for a code that is not in the table. */
  readonly name: string;
  /** Passes by itself: wait and send again. */
  readonly retry?: true;
  /** The route that led there may be old: read it again, send again. */
  readonly refreshRoute?: true;
  /** The server goes down on purpose: send again on a new connection. */
  readonly reconnect?: true;
  /** Repetition cannot help: options, rights or the cluster must change first. */
  readonly fatal?: true;
  /** A send that was stored all the same; only flushing or copying it was late. */
  readonly stored?: true;
}

type Flags = Omit<ResponseBehaviour, 'name'>;

const FLAGS: ReadonlyMap<number, Flags> = new Map<number, Flags>([
  [ResponseCode.SYSTEM_BUSY, { retry: true }],
  [ResponseCode.REQUEST_CODE_NOT_SUPPORTED, { fatal: true }],
  [ResponseCode.FLUSH_DISK_TIMEOUT, { stored: true }],
  [ResponseCode.SLAVE_NOT_AVAILABLE, { stored: true }],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, { stored: true }],
  [ResponseCode.MESSAGE_ILLEGAL, { fatal: true }],
  [ResponseCode.SERVICE_NOT_AVAILABLE, { retry: true, refreshRoute: true }],
  [ResponseCode.VERSION_NOT_SUPPORTED, { fatal: true }],
  [ResponseCode.NO_PERMISSION, { fatal: true }],
  [ResponseCode.TOPIC_NOT_EXIST, { refreshRoute: true }],
  [ResponseCode.SUBSCRIPTION_PARSE_FAILED, { fatal: true }],
  [ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, { fatal: true }],
  // Up to 5.3.1 brokers answer a queue id that is gone with SYSTEM_ERROR.
  [ResponseCode.INVALID_PARAMETER, { refreshRoute: true }],
  [ResponseCode.POLLING_FULL, { retry: true }],
  [ResponseCode.FLOW_CONTROL, { retry: true }],
  [ResponseCode.NOT_LEADER_FOR_QUEUE, { refreshRoute: true }],
  [ResponseCode.GO_AWAY, { retry: true, refreshRoute: true, reconnect: true }],
]);

const BEHAVIOURS: ReadonlyMap<number, ResponseBehaviour> = new Map(
  Object.entries(ResponseCode).map(([name, code]) => [code, { name, ...FLAGS.get(code) }]),
);

export function responseBehaviour(code: number): ResponseBehaviour {
  return BEHAVIOURS.get(code) ?? { name: `RESPONSE_${code}` };
}

export function responseName(code: number): string {
  return responseBehaviour(code).name;
}
