/** Base of every error that this package raises. `code` is stable and documented; the message says what to do. */
export class RocketMQError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The stable code of an error, for logs and answers. UNEXPECTED: it is none of this package's. */
export function codeOf(error: unknown): string {
  return error instanceof RocketMQError ? error.code : 'UNEXPECTED';
}

/** A name server or broker could not be reached, or the connection broke. */
export class ConnectionError extends RocketMQError {
  readonly address: string;
  /** False: the request was not sent. True: it may have been carried out. */
  readonly maybeSent: boolean;
  constructor(
    address: string,
    message: string,
    options?: ErrorOptions & { maybeSent?: boolean },
    code = 'ROCKETMQ_CONNECTION',
  ) {
    super(code, message, options);
    this.address = address;
    this.maybeSent = options?.maybeSent ?? true;
  }
}

/** A server asked more of its client than any broker does: its connection was closed. */
export class PeerFloodError extends ConnectionError {
  constructor(address: string, what: string) {
    super(
      address,
      `the connection to ${address} was closed here: ${what} came from there. Check which server answers at that address`,
      {},
      'ROCKETMQ_PEER_FLOOD',
    );
  }
}

/** A broker's address that is not connected to: an address of this machine or of a metadata service, or one outside `brokers` of the cluster. */
export class AddressRefusedError extends ConnectionError {
  /** Why, without who announced it. */
  readonly reason: string;
  constructor(address: string, reason: string, source = '', options?: ErrorOptions) {
    super(
      address,
      `broker address ${address} refused${source}: ${reason}. If it is right, list it in brokers of the cluster, or translate it with addressMap`,
      { ...options, maybeSent: false },
      'ROCKETMQ_ADDRESS_REFUSED',
    );
    this.reason = reason;
  }
}

/** No answer within the request's time. The request may have been carried out. */
export class RequestTimeoutError extends RocketMQError {
  readonly address: string;
  readonly timeoutMs: number;
  constructor(address: string, request: string, timeoutMs: number) {
    super(
      'ROCKETMQ_REQUEST_TIMEOUT',
      `${request} to ${address} was not answered within ${timeoutMs} ms`,
    );
    this.address = address;
    this.timeoutMs = timeoutMs;
  }
}

/** Bytes that are no valid frame, header, body or record. */
export class ProtocolError extends RocketMQError {
  constructor(message: string, options?: ErrorOptions, code = 'ROCKETMQ_PROTOCOL') {
    super(code, message, options);
  }
}

/** A frame, body or decompressed size over its limit. */
export class LimitExceededError extends RocketMQError {
  constructor(message: string) {
    super('ROCKETMQ_LIMIT_EXCEEDED', message);
  }
}

/** There was no memory for an answer, so it was passed over as it arrived: to be asked for again when there is. */
export class AnswerDroppedError extends RocketMQError {
  /** Bytes of its body. */
  readonly bytes: number;
  constructor(request: string, bytes: number) {
    super('ROCKETMQ_ANSWER_DROPPED', `no memory for the answer to ${request}, ${bytes} bytes`);
    this.bytes = bytes;
  }
}

/** The server answered with a code that is no success. */
export class BrokerError extends RocketMQError {
  readonly responseCode: number;
  readonly remark: string | undefined;
  readonly address: string;
  constructor(
    request: string,
    address: string,
    responseCode: number,
    responseName: string,
    remark: string | undefined,
    code = 'ROCKETMQ_BROKER',
    advice = '',
  ) {
    super(
      code,
      `${request} was refused by ${address} with ${responseName} (${responseCode})${remark ? `: ${remark.replace(/\.$/, '')}` : ''}${advice ? `. ${advice}` : ''}`,
    );
    this.responseCode = responseCode;
    this.remark = remark;
    this.address = address;
  }
}

/** The broker does not know the request: it is too old for it, or its VIP port was asked. */
export class UnsupportedRequestError extends BrokerError {}

/** No name server knows a route for the topic. */
export class TopicNotFoundError extends RocketMQError {
  readonly topic: string;
  constructor(topic: string, nameServers: readonly string[], options?: ErrorOptions) {
    super(
      'ROCKETMQ_TOPIC_NOT_FOUND',
      `topic "${topic}" has no route at ${nameServers.join(', ')}: create it (mqadmin updateTopic -t ${topic} …) or correct the name`,
      options,
    );
    this.topic = topic;
  }
}

/** What a name server answered about a topic's brokers and queues cannot be read, or is outside the bounds of `requests/route-bounds.ts`. No part of it is used. */
export class RouteRefusedError extends ProtocolError {
  /** What is wrong, without the topic. */
  readonly reason: string;
  constructor(reason: string, topic?: string, options?: ErrorOptions) {
    super(
      topic === undefined
        ? `answer of a name server refused: ${reason}`
        : `route of topic "${topic}" refused: ${reason}. Compare it with mqadmin topicRoute -t ${topic}, and check who answers at nameServers`,
      options,
      'ROCKETMQ_ROUTE_REFUSED',
    );
    this.reason = reason;
  }
}

/** The broker does not know the group, and may not create it. */
export class GroupNotFoundError extends BrokerError {}

/** Wrong access key or signature, or no right to the topic or group. */
export class PermissionError extends BrokerError {}

/** A filter expression that does not compile. */
export class InvalidFilterError extends RocketMQError {
  constructor(message: string, options?: ErrorOptions) {
    super('ROCKETMQ_INVALID_FILTER', message, options);
  }
}

/** Options that contradict the schema or each other. */
export class ConfigError extends RocketMQError {
  constructor(message: string, options?: ErrorOptions, code = 'ROCKETMQ_CONFIG') {
    super(code, message, options);
  }
}

/** A group's dead-letter topic may be written only: older brokers make it so. */
export class DeadLettersUnreadableError extends RocketMQError {
  readonly topic: string;
  readonly brokerNames: readonly string[];
  constructor(topic: string, brokerNames: readonly string[]) {
    super(
      'ROCKETMQ_DLQ_UNREADABLE',
      `dead-letter topic "${topic}" may not be read on ${brokerNames.join(', ')} (brokers may have made it with perm 2, write only): allow it with mqadmin updateTopicPerm -t ${topic} -p 6 -c <cluster>, and read again`,
    );
    this.topic = topic;
    this.brokerNames = brokerNames;
  }
}

/** A message id names several dead letters. Nothing was sent. */
export class AmbiguousDeadLetterError extends RocketMQError {
  readonly topic: string;
  readonly id: string;
  /** `broker/queue/offset` of the first of them. */
  readonly places: readonly string[];
  constructor(topic: string, id: string, places: readonly string[], more: boolean) {
    super(
      'ROCKETMQ_DLQ_AMBIGUOUS',
      `message id "${id.slice(0, 200)}" names several dead letters of ${topic}: ${places.join(', ')}${more ? ' and more' : ''}. Nothing was sent. Give the place of the one that is meant, ${places[0]} for example`,
    );
    this.topic = topic;
    this.id = id;
    this.places = places;
  }
}

/** A dead letter could not be sent: the redrive ended before it, and what it sent before is noted. */
export class RedriveStoppedError extends RocketMQError {
  /** `topic/broker/id`. */
  readonly queue: string;
  readonly offset: bigint;
  constructor(consumerGroup: string, queue: string, offset: bigint, cause: Error) {
    const place = queue.slice(queue.indexOf('/') + 1);
    super(
      'ROCKETMQ_REDRIVE_STOPPED',
      `dead letter ${queue}=${offset} not sent: ${cause.message}. Fix the cause and redrive again, or go past it: onFailure: 'skip' (command: dlq redrive --skip-failed) reports such letters and goes on, dlq drop --group ${consumerGroup} --queue ${place} --limit 1 notes this one as done`,
      { cause },
    );
    this.queue = queue;
    this.offset = offset;
  }
}

/** A body over `s3PointerThreshold` could not be put into its bucket: its message waits, and no failure is counted. */
export class BodyNotStoredError extends RocketMQError {
  readonly bucket: string;
  readonly key: string;
  constructor(bucket: string, key: string, reason: string, advice: string, options?: ErrorOptions) {
    super(
      'ROCKETMQ_BODY_NOT_STORED',
      `the body cannot be put to s3://${bucket}/${key}: ${reason}. ${advice}`,
      options,
    );
    this.bucket = bucket;
    this.key = key;
  }
}

/** A record has its body in S3, and the helper that needs it was given no way to fetch it, or got other bytes. */
export class BodyNotFetchedError extends RocketMQError {
  readonly bucket: string;
  readonly key: string;
  constructor(
    { bucket, key }: { readonly bucket: string; readonly key: string },
    reason: string,
    options?: ErrorOptions,
  ) {
    super(
      'ROCKETMQ_BODY_NOT_FETCHED',
      `the body of a message is at s3://${bucket}/${key}: ${reason}`,
      options,
    );
    this.bucket = bucket;
    this.key = key;
  }
}

/** Other consumers (a Java push consumer, say) work in the group; they do not see us and would take every queue for themselves. */
export class ForeignMembersError extends RocketMQError {
  readonly clientIds: readonly string[];
  constructor(consumerGroup: string, clientIds: readonly string[]) {
    super(
      'ROCKETMQ_FOREIGN_MEMBERS',
      `consumer group "${consumerGroup}" has other members (${clientIds.join(', ')}): stop them, give this service a consumerGroup of its own, or share the group with them (coexist: true); nothing is delivered until then`,
    );
    this.clientIds = clientIds;
  }
}

/** Members of one group have to subscribe to the same topics with the same filters: brokers keep one set per group, that of the last heartbeat. */
export class UnequalSubscriptionsError extends RocketMQError {
  constructor(consumerGroup: string, differences: readonly string[]) {
    super(
      'ROCKETMQ_UNEQUAL_SUBSCRIPTIONS',
      `the other members of consumer group "${consumerGroup}" have other subscriptions (${differences.join('; ')}): give all members the same topics and filters, or messages are skipped`,
    );
  }
}

/** Items of an earlier build have the group's name, and nothing in them says which service wrote them. */
export class EarlierItemsError extends RocketMQError {
  constructor(
    { cluster, consumerGroup }: { cluster: string; consumerGroup: string },
    found: 'of-unknown' | 'unfinished' | 'of-another',
    owner = '',
  ) {
    const items = `the table has items of an earlier build for group "${consumerGroup}" of cluster "${cluster}"`;
    super(
      'ROCKETMQ_EARLIER_ITEMS',
      {
        'of-unknown': `${items}, and they do not say which service wrote them: set table.takeOver to true when this service did, or to false when another service on this table did; nothing is delivered until then`,
        unfinished: `${items} that are not taken over yet: set table.takeOver to true again until status shows every queue; those queues are not delivered until then`,
        'of-another': `${items}, which ${owner} has taken over: set table.takeOver to false to begin the group without them; nothing is delivered until then`,
      }[found],
    );
  }
}
