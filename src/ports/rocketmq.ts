import type { ConsumerConnection } from '../model/consumer-connection.ts';
import type { DelayLevel } from '../model/delay-level.ts';
import type { DirectResult, GroupMember, MemberInfo } from '../model/membership.ts';
import type { DeadLetter, Message, UndecodableRecord } from '../model/message.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { PopHandle, PoppedMessage, PoppedUndecodable } from '../model/pop.ts';
import type { TopicRoute } from '../model/route.ts';
import type { SetAside } from '../model/set-aside.ts';
import type { Subscription } from '../model/subscription.ts';

/** `timeoutMs` defaults per request to what Java's client uses (3 s; offsets and send-back 5 s). */
export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** Of a request whose answer may be large. */
export interface AnswerOptions extends CallOptions {
  /**
   * Asked when the answer begins to arrive, by the bytes of its body. False: it is not read, and the
   * request fails with AnswerDroppedError. Default: it is read.
   */
  readonly reserve?: (bytes: number) => boolean;
}

export interface PullRequest {
  readonly consumerGroup: string;
  readonly queue: MessageQueue;
  readonly offset: bigint;
  readonly subscription: Subscription;
  /** The broker gives at most 32 from memory, 8 from disk. */
  readonly maxMessages: number;
  /** 0: answer at once. Otherwise a long poll; brokers round it up to their 5 s tick. */
  readonly suspendMs: number;
  /** 0 = master; a slave's id when the previous answer suggested it. */
  readonly brokerId?: number;
  /**
   * Compressed bodies come as they are stored, with the compressed bit set; `openMessage` decompresses one. Default
   * false: they come decompressed, as many as take 64 MiB together, and the next pull brings the rest.
   */
  readonly keepCompressed?: boolean;
  /** With `keepCompressed`: most bytes that inner batches of the answer may take. A single one beyond it is undecodable. Default 64 MiB. */
  readonly maxAnswerBytes?: number;
}

interface PullOffsets {
  readonly nextBeginOffset: bigint;
  readonly minOffset: bigint;
  readonly maxOffset: bigint;
  readonly suggestWhichBrokerId: number;
}

export type PullResult = PullOffsets &
  (
    | {
        readonly status: 'FOUND';
        /** In queue order, already re-filtered by tag text. */
        readonly messages: readonly Message[];
        readonly undecodable: readonly UndecodableRecord[];
        /** Bytes of the answer's body. */
        readonly size: number;
        /** Offsets of inner batches' messages left out, because records of the answer have them. */
        readonly overlapping: readonly bigint[];
      }
    /** Nothing new (PULL_NOT_FOUND). */
    | { readonly status: 'NO_NEW_MSG' }
    /** Nothing matched the filter (PULL_RETRY_IMMEDIATELY): go on at nextBeginOffset. */
    | { readonly status: 'NO_MATCHED_MSG' }
    /** PULL_OFFSET_MOVED: drop everything pulled before, commit nextBeginOffset, go on there. */
    | {
        readonly status: 'OFFSET_MOVED' /** An operator reset the offset (remark OFFSET_RESET). */;
        readonly reset: boolean;
      }
  );

export interface PopRequest {
  readonly consumerGroup: string;
  readonly topic: string;
  /** The broker chooses among its queues of the topic, and its pop retry topic. */
  readonly brokerName: string;
  readonly subscription: Subscription;
  /** At most 32. */
  readonly maxMessages: number;
  /** How long nobody else gets the messages. */
  readonly invisibleMs: number;
  /** 0: answer at once. Otherwise a long poll. */
  readonly pollMs: number;
  /** Where a group begins that never popped the topic. */
  readonly start: 'min' | 'max';
  /** As in PullRequest; but what is popped always comes whole. */
  readonly keepCompressed?: boolean;
}

export interface PopResult {
  /** Already re-filtered by tag text. */
  readonly messages: readonly PoppedMessage[];
  /** What the broker gave only because tag hashes collide: acknowledge it. */
  readonly filteredOut: readonly PopHandle[];
  readonly undecodable: readonly PoppedUndecodable[];
  /** Messages that the queues of the pop have left, as the broker counts them; default 0. */
  readonly rest?: number;
  /** The broker holds as many polls as it may: wait before the next one. */
  readonly full: boolean;
}

export interface SendBackRequest {
  readonly consumerGroup: string;
  readonly brokerName: string;
  readonly commitLogOffset: bigint;
  readonly delayLevel: DelayLevel;
  /** undefined: the record cannot be read so far. */
  readonly originMsgId: string | undefined;
  readonly originTopic: string;
  readonly maxReconsumeTimes: number;
}

export interface OutgoingMessage {
  readonly topic: string;
  /** A string is sent as UTF-8. */
  readonly body: string | Uint8Array;
  readonly properties?: ReadonlyMap<string, string> | Readonly<Record<string, string>>;
  readonly tags?: string;
  /** What an operator looks for a message by; several keys as a list. */
  readonly keys?: string | readonly string[];
  /** Messages of one key go to one queue while the topic keeps its queues (SelectMessageQueueByHash), so that they have an order. */
  readonly shardingKey?: string;
  readonly flag?: number;
}

export interface OutgoingOptions extends CallOptions {
  readonly queue?: MessageQueue;
  /** Chooses the queue in place of the sharding key, for messages that are ordered by something else. */
  readonly orderKey?: string | undefined;
  /** A broker has stored the message once, so only the broker decides whether it may be sent. */
  readonly forwarded?: boolean;
}

export interface SendResult {
  readonly status: 'SEND_OK' | 'FLUSH_DISK_TIMEOUT' | 'FLUSH_SLAVE_TIMEOUT' | 'SLAVE_NOT_AVAILABLE';
  /** UNIQ_KEY. */
  readonly msgId: string;
  readonly offsetMsgId: string;
  readonly queue: MessageQueue;
  readonly queueOffset: bigint;
}

/** What brokers ask of a member of a group, on the connections of its client. `undefined`: this client has no such group. */
export interface MemberAnswers {
  /** Members or their subscriptions changed (40): allocate anew, at once. */
  idsChanged(consumerGroup: string): void;
  /** For consoles (307). */
  info(consumerGroup: string): MemberInfo | undefined;
  /** An operator wants this one message delivered, whoever owns its queue (309). Nothing is committed or sent back. */
  consumeDirectly(consumerGroup: string, message: Message): Promise<DirectResult | undefined>;
  /** An operator sets offsets (220, brokers before 5.2). */
  resetOffsets(
    consumerGroup: string,
    offsets: readonly { readonly queue: MessageQueue; readonly offset: bigint }[],
  ): void;
}

/** Of a failed message that is sent as a message. */
export interface SendBackOptions extends CallOptions {
  /** Failed deliveries that the broker has not counted: the message carries them from here on. */
  readonly localRetries?: number;
}

/**
 * What the flows need from RocketMQ. Brokers are found by name through the routes that were read; all calls go to the master unless said otherwise.
 * Errors are of the family in errors.ts: BrokerError with the broker's code, ConnectionError, RequestTimeoutError, TopicNotFoundError.
 */
export interface RocketMQ {
  /** Reads the route (and remembers the broker addresses in it). Throws TopicNotFoundError when no name server knows the topic. `fresh` passes by the cache. */
  topicRoute(topic: string, options?: CallOptions & { fresh?: boolean }): Promise<TopicRoute>;
  pull(request: PullRequest, options?: AnswerOptions): Promise<PullResult>;
  /** The committed offset, or undefined when the broker has none (code 22). */
  queryOffset(
    consumerGroup: string,
    queue: MessageQueue,
    options?: CallOptions,
  ): Promise<bigint | undefined>;
  /**
   * Is an offset of 0 that `queryOffset` told stored? Brokers before 5.0 tell 0 for a young queue in which the group has
   * none. They are asked for the offsets of all groups, so ask only when it decides something.
   */
  isOffsetStored(
    consumerGroup: string,
    queue: MessageQueue,
    options?: CallOptions,
  ): Promise<boolean>;
  /** `resetPending`: the broker dropped the commit because an operator's reset waits for the next pull. */
  commitOffset(
    consumerGroup: string,
    queue: MessageQueue,
    offset: bigint,
    options?: CallOptions,
  ): Promise<{ resetPending: boolean }>;
  /** The next offset to be written. */
  maxOffset(queue: MessageQueue, options?: CallOptions): Promise<bigint>;
  minOffset(queue: MessageQueue, options?: CallOptions): Promise<bigint>;
  /**
   * When the first message that is left in the queue was stored, by the broker's clock, epoch ms. undefined: the queue
   * has none, or the broker cannot tell.
   */
  firstStoredAt(queue: MessageQueue, options?: CallOptions): Promise<number | undefined>;
  /** First offset stored at or after the timestamp (epoch ms). */
  searchOffset(queue: MessageQueue, timestamp: number, options?: CallOptions): Promise<bigint>;
  /** Takes messages for a time (200050). Brokers of 5.0 and later; BrokerError REQUEST_CODE_NOT_SUPPORTED from older ones. */
  pop(request: PopRequest, options?: AnswerOptions): Promise<PopResult>;
  /** A popped message is done (200051). Also answered when it became visible again before. */
  ack(
    consumerGroup: string,
    topic: string,
    handle: PopHandle,
    options?: CallOptions,
  ): Promise<void>;
  /** A popped message becomes visible again so many milliseconds from now (200053). Answers the new handle. */
  changeInvisibleTime(
    consumerGroup: string,
    topic: string,
    handle: PopHandle,
    invisibleMs: number,
    options?: CallOptions,
  ): Promise<PopHandle>;
  /** Is there something to pop, within `pollMs` (200054)? */
  hasMessages(
    request: {
      readonly consumerGroup: string;
      readonly topic: string;
      readonly brokerName: string;
      readonly pollMs: number;
    },
    options?: CallOptions,
  ): Promise<boolean>;
  /** Request 36 to the broker that stores the message. */
  sendBack(request: SendBackRequest, options?: CallOptions): Promise<void>;
  /** Java's fallback when 36 fails: an ordinary send of the message to the group's retry topic (protocol traps handled). */
  sendBackAsNormalMessage(
    consumerGroup: string,
    message: Message,
    delayLevel: DelayLevel,
    maxReconsumeTimes: number,
    options?: SendBackOptions,
  ): Promise<void>;
  /**
   * A message that failed for good, in a form that brokers take: by way of the group's retry topic, where brokers turn it over to the dead-letter
   * queue, or straight into the dead-letter topic.
   */
  sendDeadLetter(
    consumerGroup: string,
    letter: DeadLetter,
    to: 'retry-topic' | 'dead-letter-topic',
    options?: CallOptions,
  ): Promise<void>;
  /**
   * A popped message that its broker would not bring back as it should (`unrevivable`), as a message of its own into
   * the group's pop retry topic: there its deliveries are counted from 0. Its body is decompressed.
   */
  copyToPopRetry(consumerGroup: string, message: Message, options?: CallOptions): Promise<void>;
  /**
   * A failed message by the broker's timer wheel: to the group's retry topic after so many milliseconds, to the second. False: the broker is older
   * than 5.0, and would deliver it at once. Brokers whose timers are off refuse it with BrokerError. Not for groups that hold queue locks: brokers
   * dead-letter their retries at once.
   */
  sendBackTimed(
    consumerGroup: string,
    message: Message,
    delayMs: number,
    maxReconsumeTimes: number,
    options?: SendBackOptions,
  ): Promise<boolean>;
  /**
   * A message of the group's retry topic that no handler was called for goes to the end of that topic, after a delay.
   * Its count of failures stays as it is, and so does the time of its first store. Its body is decompressed. Not for
   * groups that hold queue locks: brokers dead-letter their retries at once.
   */
  setAside(
    consumerGroup: string,
    message: Message,
    aside: SetAside & { readonly level: number },
    options?: SendBackOptions,
  ): Promise<void>;
  /** Without a queue the message's sharding key chooses one, or the queues take turns. */
  send(message: OutgoingMessage, options?: OutgoingOptions): Promise<SendResult>;
  /** All messages must have the same topic; they land in one queue. */
  sendBatch(
    messages: readonly OutgoingMessage[],
    options?: CallOptions & { queue?: MessageQueue },
  ): Promise<SendResult>;
  /** Members of the group on one broker (203); empty when it is offline (206). */
  consumerConnections(
    consumerGroup: string,
    brokerName: string,
    options?: CallOptions,
  ): Promise<ConsumerConnection[]>;
  /** Client ids of the group on one broker (38); empty when it has none. */
  consumerIds(consumerGroup: string, brokerName: string, options?: CallOptions): Promise<string[]>;
  /** What the group's members have subscribed to, as one broker knows it (203): the last heartbeat counts. Empty when nobody is there. */
  memberSubscriptions(
    consumerGroup: string,
    brokerName: string,
    options?: CallOptions,
  ): Promise<Subscription[]>;
  /** Makes this client's connection to the broker a member of the group (34): for 120 s from the last call on, and while the connection stands. */
  heartbeat(member: GroupMember, brokerName: string, options?: CallOptions): Promise<void>;
  /** Ends the membership of this client's connection (35). */
  unregister(
    member: Pick<GroupMember, 'clientId' | 'consumerGroup'>,
    brokerName: string,
    options?: CallOptions,
  ): Promise<void>;
  /** Who answers what brokers ask of members; undefined: nobody any more. */
  answerBrokers(answers: MemberAnswers | undefined): void;
  /** Compiles a filter at a broker (46). Throws InvalidFilterError. */
  checkSubscription(
    consumerGroup: string,
    subscription: Subscription,
    brokerName: string,
    options?: CallOptions,
  ): Promise<void>;
  /** Locks what it can for the client id (41); answers the queues that are now its own. All queues must be of one broker. */
  lockQueues(
    consumerGroup: string,
    clientId: string,
    queues: readonly MessageQueue[],
    options?: CallOptions,
  ): Promise<MessageQueue[]>;
  unlockQueues(
    consumerGroup: string,
    clientId: string,
    queues: readonly MessageQueue[],
    options?: CallOptions,
  ): Promise<void>;
  /** Every topic that a name server knows (206): retry, dead-letter and system topics among them. */
  topics(options?: CallOptions): Promise<string[]>;
  /** Names of all brokers of the cluster's masters (106). */
  brokerNames(options?: CallOptions): Promise<string[]>;
  /** A broker's figures of itself (28), by name: brokerVersionDesc, bootTimestamp, runtime and many more. An administrator's right with ACL. */
  brokerInfo(brokerName: string, options?: CallOptions): Promise<ReadonlyMap<string, string>>;
  /** Creates or replaces a topic (17) on the given brokers, by default all. */
  createTopic(
    topic: string,
    settings?: {
      readQueueNums?: number;
      writeQueueNums?: number;
      perm?: number;
      brokerNames?: readonly string[];
    },
    options?: CallOptions,
  ): Promise<void>;
  /** Creates or replaces a subscription group (200), by default on all brokers. */
  createGroup(
    consumerGroup: string,
    settings?: { retryMaxTimes?: number; retryQueueNums?: number; brokerNames?: readonly string[] },
    options?: CallOptions,
  ): Promise<void>;
  close(): Promise<void>;
}
