import { encodeRecord } from '../../src/records/encode-record.ts';
import { formatPopHandle, parsePopHandle, poppedTopic } from '../../src/records/pop-handle.ts';
import { Property } from '../../src/records/properties.ts';
import type { RemotingCommand } from '../../src/remoting/command.ts';
import { RequestCode } from '../../src/remoting/request-code.ts';
import { ResponseCode } from '../../src/remoting/response-code.ts';
import { type AckMessageRequest, ackMessage } from '../../src/requests/ack-message.ts';
import { changeInvisibleTime } from '../../src/requests/change-invisible-time.ts';
import { notification } from '../../src/requests/notification.ts';
import { type PopMessageRequest, popMessage } from '../../src/requests/pop-message.ts';
import { type Answer, ok, refuse } from '../../src/testing/broker/answer.ts';
import type { BrokerState } from '../../src/testing/broker/broker-state.ts';
import type { StoredMessage } from '../../src/testing/broker/message-store.ts';
import { topicConfig } from '../../src/testing/broker/topic-table.ts';
import type { Host, Scheduler } from '../kernel/scheduler.ts';

const RETRY_MARK = 1;

export interface PopObserver {
  /** `by` may work on it until `until`. */
  lent(position: string, until: number): void;
  acknowledged(position: string): void;
}

/** Places of the messages that an answer to a pop has, each as `topic/queueId/offset`. */
export function placesOfPopped(request: RemotingCommand, { extFields }: Answer): string[] {
  const { consumerGroup, topic } = popMessage.decode(request);
  return `${extFields?.msgOffsetInfo ?? ''}`
    .split(';')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [mark, queueId, offsets = ''] = part.split(' ');
      const retryMark = mark === String(RETRY_MARK) ? RETRY_MARK : 0;
      const stored = poppedTopic(topic, consumerGroup, { retryMark });
      return offsets.split(',').map((offset) => `${stored}/${queueId}/${offset}`);
    });
}

/** A popped message that is neither acknowledged nor given back. */
interface Checkpoint {
  readonly group: string;
  readonly topic: string;
  readonly message: StoredMessage;
  readonly popTime: number;
  readonly visibleAt: number;
}

interface HeldPoll {
  readonly group: string;
  readonly topic: string;
  readonly until: number;
  /** Answers when there is something, or when its time is over. @returns was it answered? */
  readonly attempt: (isOver: boolean) => boolean;
}

/**
 * What a broker of 5.x does in mode pop, which the embedded broker has not: hands out messages one by one, and stores what was not
 * acknowledged in its time in the pop retry topic. Mirrors PopMessageProcessor, AckMessageProcessor, ChangeInvisibleTimeProcessor
 * and PopReviveService; checkpoints survive a restart.
 */
export class PopBroker {
  readonly #state: BrokerState;
  readonly #host: Host;
  readonly #scheduler: Scheduler;
  readonly #observer: PopObserver;
  readonly #offsets = new Map<string, number>();
  readonly #checkpoints = new Map<string, Checkpoint>();
  #held: HeldPoll[] = [];

  constructor(state: BrokerState, host: Host, scheduler: Scheduler, observer: PopObserver) {
    this.#state = state;
    this.#host = host;
    this.#scheduler = scheduler;
    this.#observer = observer;
  }

  /** @returns is it a request of mode pop? */
  handle(command: RemotingCommand, answer: (answer: Answer) => void): boolean {
    switch (command.code) {
      case RequestCode.POP_MESSAGE:
        this.#pop(popMessage.decode(command), answer);
        return true;
      case RequestCode.NOTIFICATION: {
        const { consumerGroup: group, topic, pollTime } = notification.decode(command);
        const tell = (hasMsg: boolean): void =>
          answer(ok(notification.encodeAnswer({ hasMsg, pollingFull: false })));
        this.#hold({ group, topic, pollTime }, (isOver) => {
          const hasMessages = this.#places(group, topic).some(
            (place) => this.#next(place) !== undefined,
          );
          if (hasMessages || isOver) tell(hasMessages);
          return hasMessages || isOver;
        });
        return true;
      }
      case RequestCode.ACK_MESSAGE: {
        const checkpoint = this.#take(ackMessage.decode(command));
        if (checkpoint !== undefined) this.#observer.acknowledged(this.#position(checkpoint));
        answer(ok());
        return true;
      }
      case RequestCode.CHANGE_MESSAGE_INVISIBLETIME: {
        const request = changeInvisibleTime.decode(command);
        const checkpoint = this.#take(request);
        if (checkpoint === undefined) {
          answer(refuse(ResponseCode.NO_MESSAGE, 'the message is visible again'));
          return true;
        }
        const { popTime } = this.#lend(checkpoint, request.invisibleTime);
        answer(
          ok(
            changeInvisibleTime.encodeAnswer({
              popTime: BigInt(popTime),
              invisibleTime: BigInt(request.invisibleTime),
              reviveQid: 0,
            }),
          ),
        );
        return true;
      }
      default:
        return false;
    }
  }

  /** Something was stored. */
  arrived(): void {
    this.#scheduler.schedule(0, this.#host, () => this.#tryHeld());
  }

  /** A restart: whoever waits gets no answer. */
  forgetHeld(): void {
    this.#held = [];
  }

  #pop(request: PopMessageRequest, answer: (answer: Answer) => void): void {
    const { consumerGroup: group, topic, pollTime } = request;
    this.#hold({ group, topic, pollTime }, (isOver) => {
      const found = this.#collect(request);
      if (found !== undefined) answer(found);
      else if (isOver) answer(refuse(ResponseCode.POLLING_TIMEOUT, 'no message'));
      return found !== undefined || isOver;
    });
  }

  #hold(
    { group, topic, pollTime }: { group: string; topic: string; pollTime: number },
    attempt: (isOver: boolean) => boolean,
  ): void {
    if (attempt(pollTime <= 0)) return;
    this.#held.push({ group, topic, until: this.#scheduler.now + pollTime, attempt });
    this.#scheduler.schedule(pollTime, this.#host, () => this.#tryHeld());
  }

  #tryHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const poll of held)
      if (!poll.attempt(this.#scheduler.now >= poll.until)) this.#held.push(poll);
  }

  /** Retries first, then the queues of the topic. */
  #places(group: string, topic: string) {
    const retry = poppedTopic(topic, group, { retryMark: RETRY_MARK });
    const queues = this.#state.topics.get(topic)?.readQueueNums ?? 0;
    return [
      { group, topic: retry, queueId: 0, mark: RETRY_MARK },
      ...Array.from({ length: queues }, (_, queueId) => ({ group, topic, queueId, mark: 0 })),
    ] as const;
  }

  #next({ group, topic, queueId }: { group: string; topic: string; queueId: number }) {
    const offset = this.#offsets.get(`${group}/${topic}/${queueId}`) ?? 0;
    return this.#state.store.at(topic, queueId, offset) === undefined ? undefined : offset;
  }

  #collect({ consumerGroup: group, topic, maxMsgNums, invisibleTime }: PopMessageRequest) {
    for (const place of this.#places(group, topic)) {
      const first = this.#next(place);
      if (first === undefined) continue;
      const key = `${group}/${place.topic}/${place.queueId}`;
      const messages: StoredMessage[] = [];
      for (let offset = first; messages.length < maxMsgNums; offset++) {
        const message = this.#state.store.at(place.topic, place.queueId, offset);
        if (message === undefined) break;
        messages.push(message);
        this.#offsets.set(key, offset + 1);
      }
      const popTime = this.#scheduler.now;
      const records = messages.map((message) => {
        this.#lend({ group, topic: place.topic, message }, invisibleTime);
        return place.mark === 0
          ? message.record
          : this.#retryRecord(message, topic, first, popTime, invisibleTime);
      });
      const where = `${place.mark} ${place.queueId}`;
      return ok(
        popMessage.encodeAnswer({
          popTime: BigInt(popTime),
          invisibleTime: BigInt(invisibleTime),
          reviveQid: 0,
          restNum: BigInt(this.#restOf(place)),
          startOffsetInfo: `${where} ${first}`,
          msgOffsetInfo: `${where} ${messages.map(({ queueOffset }) => queueOffset).join(',')}`,
          records: Buffer.concat(records),
        }),
      );
    }
    return undefined;
  }

  #restOf(place: { group: string; topic: string; queueId: number }): number {
    const end = this.#state.store.maxOffset(place.topic, place.queueId);
    return end - (this.#offsets.get(`${place.group}/${place.topic}/${place.queueId}`) ?? 0);
  }

  /** Under the topic's own name, with its handle as a property. */
  #retryRecord(
    message: StoredMessage,
    topic: string,
    first: number,
    popTime: number,
    invisibleTime: number,
  ): Buffer {
    const { queueId, queueOffset, physicalOffset } = message;
    const handle = formatPopHandle({
      ckQueueOffset: BigInt(first),
      popTime: BigInt(popTime),
      invisibleTime: BigInt(invisibleTime),
      reviveQid: 0,
      retryMark: RETRY_MARK,
      brokerName: this.#state.brokerName,
      queueId,
      queueOffset: BigInt(queueOffset),
    });
    return encodeRecord({
      ...message,
      topic,
      properties: new Map(message.properties).set(Property.POP_CK, handle),
      queueOffset: BigInt(queueOffset),
      commitLogOffset: BigInt(physicalOffset),
      storeHost: message.bornHost,
    });
  }

  #lend(
    { group, topic, message }: Pick<Checkpoint, 'group' | 'topic' | 'message'>,
    invisibleMs: number,
  ): Checkpoint {
    const popTime = this.#scheduler.now;
    const visibleAt = popTime + invisibleMs;
    const checkpoint: Checkpoint = { group, topic, message, popTime, visibleAt };
    const key = keyOf(topic, message.queueId, BigInt(message.queueOffset), BigInt(popTime));
    this.#checkpoints.set(key, checkpoint);
    this.#observer.lent(this.#position(checkpoint), visibleAt);
    this.#scheduler.schedule(invisibleMs, this.#host, () => {
      if (this.#checkpoints.get(key) === checkpoint) this.#revive(key, checkpoint);
    });
    return checkpoint;
  }

  #take({ topic, queueId, offset, extraInfo }: AckMessageRequest): Checkpoint | undefined {
    const key = keyOf(topic, queueId, offset, parsePopHandle(extraInfo).popTime);
    const checkpoint = this.#checkpoints.get(key);
    this.#checkpoints.delete(key);
    return checkpoint;
  }

  #revive(key: string, { group, topic, message }: Checkpoint): void {
    this.#checkpoints.delete(key);
    const retry = topic.startsWith('%RETRY%')
      ? topic
      : poppedTopic(topic, group, { retryMark: RETRY_MARK });
    if (this.#state.topics.get(retry) === undefined)
      this.#state.topics.put(topicConfig(retry, 1, undefined));
    const { record: _record, ...content } = message;
    this.#state.store.put({
      ...content,
      topic: retry,
      queueId: 0,
      reconsumeTimes: message.reconsumeTimes + 1,
    });
  }

  #position({ topic, message }: Pick<Checkpoint, 'topic' | 'message'>): string {
    return `${topic}/${this.#state.brokerName}/${message.queueId}/${message.queueOffset}`;
  }
}

function keyOf(topic: string, queueId: number, offset: bigint, popTime: bigint): string {
  return `${topic}/${queueId}/${offset}@${popTime}`;
}
