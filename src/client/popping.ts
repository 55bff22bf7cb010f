import { ProtocolError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import type { PopHandle, PoppedMessage, UnrevivableReason } from '../model/pop.ts';
import type { PopRequest, PopResult } from '../ports/rocketmq.ts';
import { decodeRecords } from '../records/decode-records.ts';
import {
  formatPopHandle,
  parsePopHandle,
  parsePoppedOffsets,
  parseStartOffsets,
  poppedTopic,
  startOffsetKey,
} from '../records/pop-handle.ts';
import { Property } from '../records/properties.ts';
import { matchesTags } from '../records/subscription.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import type { Limits } from '../remoting/limits.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { AckMessageRequest } from '../requests/ack-message.ts';
import {
  PopInitMode,
  type PopMessageAnswer,
  type PopMessageRequest,
  popMessage,
} from '../requests/pop-message.ts';

/** Codes that are an answer: found, nothing in the time asked for, or too many hold a poll already. */
export const POP_CODES: readonly number[] = [
  ResponseCode.SUCCESS,
  ResponseCode.PULL_NOT_FOUND,
  ResponseCode.POLLING_FULL,
  ResponseCode.POLLING_TIMEOUT,
];

const ANY_QUEUE = -1;
/** See PopMessageRequest.bornTime. */
export const BROKERS_CLOCK = 0;

export function wirePop({
  consumerGroup,
  topic,
  maxMessages,
  invisibleMs,
  pollMs,
  subscription,
  start,
}: PopRequest): PopMessageRequest {
  return {
    consumerGroup,
    topic,
    queueId: ANY_QUEUE,
    maxMsgNums: maxMessages,
    invisibleTime: invisibleMs,
    pollTime: pollMs,
    bornTime: BROKERS_CLOCK,
    initMode: start === 'min' ? PopInitMode.MIN : PopInitMode.MAX,
    expType: subscription.expressionType,
    exp: subscription.subString,
    order: false,
  };
}

export function wirePopped(
  consumerGroup: string,
  topic: string,
  handle: PopHandle,
): AckMessageRequest {
  const { queueId, queueOffset } = handle;
  return {
    consumerGroup,
    topic: poppedTopic(topic, consumerGroup, handle),
    queueId,
    extraInfo: formatPopHandle(handle),
    offset: queueOffset,
  };
}

/** Mirrors MQClientAPIImpl.processPopResponse and DefaultMQPushConsumerImpl.processPopResult. @throws ProtocolError */
export function readPopAnswer(
  answer: RemotingCommand,
  request: PopRequest,
  limits: Limits,
): PopResult {
  if (answer.code !== ResponseCode.SUCCESS)
    return {
      messages: [],
      filteredOut: [],
      undecodable: [],
      full: answer.code === ResponseCode.POLLING_FULL,
    };
  const popped = popMessage.decodeAnswer(answer);
  const { brokerName, keepCompressed = false } = request;
  const handles = new PopHandles(brokerName, popped);
  const { messages, undecodable } = decodeRecords(popped.records, {
    brokerName,
    maxDecompressedBytes: limits.maxDecompressedBytes,
    keepCompressed,
    nextOffsetOf: (record) => handles.nextOffsetOf(record),
  });
  const all = messages.flatMap((message): PoppedMessage[] => {
    const handle = handles.of(message);
    if (handle === undefined) return [];
    const unrevivable = whyUnrevivable(message, handle);
    return [
      {
        // Brokers count on retries only: elsewhere the count, and with it 1ST_POP_TIME, is a producer's.
        message: handle.retryMark === 0 ? message.uncounted() : message,
        handle,
        ...(unrevivable && { unrevivable }),
      },
    ];
  });
  const wanted = all.filter(({ message }) =>
    matchesTags(request.subscription, message.properties.get(Property.TAGS)),
  );
  // A record is acknowledged as a whole: one that still has a wanted message is not filtered out.
  const kept = new Set(wanted.map(({ handle }) => handle));
  const handlesOfAll = new Set(all.map(({ handle }) => handle));
  return {
    messages: wanted,
    filteredOut: [...handlesOfAll].filter((handle) => !kept.has(handle)),
    undecodable: undecodable.flatMap((record) => {
      const handle = handles.find(record) ?? handles.at(0, record);
      return handle === undefined ? [] : [{ undecodable: record, handle }];
    }),
    rest: Number(popped.restNum),
    full: false,
  };
}

function whyUnrevivable(
  { storeSize, reconsumeTimes, properties }: Message,
  { retryMark }: PopHandle,
): UnrevivableReason | undefined {
  if (isOfInnerBatch({ storeSize })) return 'inner-batch';
  return retryMark === 0 && (reconsumeTimes !== 0 || properties.has(Property.FIRST_STORED))
    ? 'miscounted'
    : undefined;
}

/** Only its record has a size. */
function isOfInnerBatch({ storeSize }: Pick<Message, 'storeSize'>): boolean {
  return storeSize === 0;
}

type Place = Pick<Message, 'queueId' | 'queueOffset'>;
type CountedPlace = Place & Pick<Message, 'reconsumeTimes'>;
/** A retry first, for what was delivered before. */
const RETRY_FIRST: readonly PopHandle['retryMark'][] = [2, 1, 0];
const ORDINARY_FIRST: readonly PopHandle['retryMark'][] = [0, 2, 1];

/** The handles of the messages of one answer. */
class PopHandles {
  readonly #brokerName: string;
  readonly #popped: PopMessageAnswer;
  readonly #starts: ReadonlyMap<string, bigint>;
  readonly #taken: ReturnType<typeof parsePoppedOffsets>;
  /** Of inner batches, by the place of their record. */
  readonly #ofBatches = new Map<string, PopHandle>();

  constructor(brokerName: string, popped: PopMessageAnswer) {
    this.#brokerName = brokerName;
    this.#popped = popped;
    this.#starts = parseStartOffsets(popped.startOffsetInfo ?? '');
    this.#taken = parsePoppedOffsets(popped.msgOffsetInfo ?? '');
  }

  /**
   * What comes from the retry topic is rewritten by the broker, and brings its handle along, unless
   * a producer has written that property before. Undefined: nothing tells where the message stands,
   * so it comes again when its time is over.
   * @throws ProtocolError for an ordinary message of a queue that the answer does not name
   */
  of(message: Message): PopHandle | undefined {
    const text = isOfInnerBatch(message) ? undefined : message.properties.get(Property.POP_CK);
    const handle = isOfInnerBatch(message)
      ? this.#ofBatch(message)
      : text === undefined
        ? this.at(0, message)
        : (this.#own(text, message) ?? this.find(message));
    if (text === undefined && handle === undefined)
      throw new ProtocolError(
        `the pop answer of ${this.#brokerName} names no start offset of queue ${message.queueId}`,
      );
    return handle;
  }

  /**
   * A broker knows the record's own offset only: an acknowledgement of it is one of all its
   * messages, and one of another offset is passed over (PopCheckPoint.indexOfAck).
   */
  #ofBatch({ queueId, queueOffset }: Place): PopHandle | undefined {
    const taken = this.#taken.get(startOffsetKey(0, queueId)) ?? [];
    let base: bigint | undefined;
    for (const text of taken) {
      const offset = BigInt(text);
      if (offset <= queueOffset && (base === undefined || offset > base)) base = offset;
    }
    if (base === undefined) return undefined;
    const place = `${queueId}@${base}`;
    const handle = this.#ofBatches.get(place) ?? this.at(0, { queueId, queueOffset: base });
    if (handle !== undefined) this.#ofBatches.set(place, handle);
    return handle;
  }

  at(retryMark: PopHandle['retryMark'], { queueId, queueOffset }: Place): PopHandle | undefined {
    const ckQueueOffset = this.#starts.get(startOffsetKey(retryMark, queueId));
    const { popTime, invisibleTime, reviveQid } = this.#popped;
    return ckQueueOffset === undefined
      ? undefined
      : {
          ...{ ckQueueOffset, popTime, invisibleTime, reviveQid, retryMark },
          ...{ brokerName: this.#brokerName, queueId, queueOffset },
        };
  }

  /** The handle in its property, if this pop wrote it. */
  #own(text: string, { queueId, queueOffset }: Place): PopHandle | undefined {
    try {
      const handle = parsePopHandle(text);
      return handle.retryMark !== 0 &&
        handle.popTime === this.#popped.popTime &&
        handle.queueId === queueId &&
        handle.queueOffset === queueOffset
        ? handle
        : undefined;
    } catch {
      return undefined;
    }
  }

  /** By the places that the pop took. */
  find(record: CountedPlace): PopHandle | undefined {
    const marks = record.reconsumeTimes > 0 ? RETRY_FIRST : ORDINARY_FIRST;
    const mark = marks.find((one) =>
      this.#taken.get(startOffsetKey(one, record.queueId))?.has(String(record.queueOffset)),
    );
    return mark === undefined ? undefined : this.at(mark, record);
  }

  /**
   * The next offset behind a record that the pop took from the same queue; undefined: none. A redelivery, and a record
   * that the pop does not name, has no room for an inner batch: retry topics have none.
   */
  nextOffsetOf(record: CountedPlace): bigint | undefined {
    const { queueId, queueOffset } = record;
    const taken = this.#taken.get(startOffsetKey(0, queueId));
    if (this.find(record)?.retryMark !== 0 || taken === undefined) return queueOffset;
    let next: bigint | undefined;
    for (const text of taken) {
      const offset = BigInt(text);
      if (offset > queueOffset && (next === undefined || offset < next)) next = offset;
    }
    return next;
  }
}
