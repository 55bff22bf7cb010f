/** Bit 0 of `flag`: this command answers the one with the same opaque. */
export const RESPONSE_FLAG = 1;
/** Bit 1 of `flag`: no answer is expected, not even an error. */
export const ONEWAY_FLAG = 2;

/** One request or response, header decoded. Mirrors org.apache.rocketmq.remoting.protocol.RemotingCommand. */
export interface RemotingCommand {
  /** Request code, or response code when the response flag is set. */
  readonly code: number;
  /** LanguageCode name ("JAVA", "OTHER"). */
  readonly language: string;
  /** Ordinal of MQVersion.Version of the sender. */
  readonly version: number;
  /** Matches a response to its request; int32, numbered by each side for its own requests. */
  readonly opaque: number;
  readonly flag: number;
  readonly remark: string | undefined;
  /** Every value is a string, numbers and booleans too. */
  readonly extFields: Readonly<Record<string, string>>;
  /** Empty when there is none. */
  readonly body: Buffer;
  /** Bytes of a body that was not wanted, and was passed over. */
  readonly droppedBytes?: number;
}

export function isResponse(command: Pick<RemotingCommand, 'flag'>): boolean {
  return (command.flag & RESPONSE_FLAG) !== 0;
}

export function isOneway(command: RemotingCommand): boolean {
  return (command.flag & ONEWAY_FLAG) !== 0;
}
