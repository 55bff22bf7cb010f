import { ProtocolError } from '../errors.ts';
import { RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { PopHandle } from '../model/pop.ts';

const FIELDS = 8;
const V1_MARK = 1;
const V2_SEPARATOR = '+';

/** `ckQueueOffset popTime invisibleTime reviveQid retryMark brokerName queueId queueOffset`. Mirrors ExtraInfoUtil.buildExtraInfo. */
export function formatPopHandle(handle: PopHandle): string {
  const {
    ckQueueOffset,
    popTime,
    invisibleTime,
    reviveQid,
    retryMark,
    brokerName,
    queueId,
    queueOffset,
  } = handle;
  return [
    ckQueueOffset,
    popTime,
    invisibleTime,
    reviveQid,
    retryMark,
    brokerName,
    queueId,
    queueOffset,
  ].join(' ');
}

/** @throws ProtocolError */
export function parsePopHandle(text: string): PopHandle {
  const parts = text.split(' ');
  const [
    ckQueueOffset = '',
    popTime = '',
    invisibleTime = '',
    reviveQid = '',
    mark = '',
    brokerName = '',
    queueId = '',
    offset = '',
  ] = parts;
  if (parts.length !== FIELDS || brokerName === '')
    throw new ProtocolError(`"${text}" is no handle of a popped message`);
  return {
    ckQueueOffset: long(ckQueueOffset, text),
    popTime: long(popTime, text),
    invisibleTime: long(invisibleTime, text),
    reviveQid: Number(long(reviveQid, text)),
    retryMark: retryMark(mark, text),
    brokerName,
    queueId: Number(long(queueId, text)),
    queueOffset: long(offset, text),
  };
}

/** The topic in whose queue the message stands. Mirrors ExtraInfoUtil.getRealTopic and KeyBuilder. */
export function poppedTopic(
  topic: string,
  consumerGroup: string,
  { retryMark: mark }: Pick<PopHandle, 'retryMark'>,
): string {
  if (mark === 0) return topic;
  return `${RETRY_TOPIC_PREFIX}${consumerGroup}${mark === V1_MARK ? '_' : V2_SEPARATOR}${topic}`;
}

/** Start offsets of a pop by `retryMark@queueId`, out of `retryMark queueId startOffset` joined by ";". @throws ProtocolError */
export function parseStartOffsets(text: string): Map<string, bigint> {
  const offsets = new Map<string, bigint>();
  for (const entry of text.split(';').filter((part) => part !== '')) {
    const [mark = '', queueId = '', offset = '', ...more] = entry.split(' ');
    if (more.length > 0) throw new ProtocolError(`"${entry}" is no start offset of a pop`);
    offsets.set(
      startOffsetKey(retryMark(mark, entry), Number(long(queueId, entry))),
      long(offset, entry),
    );
  }
  return offsets;
}

/** Offsets that a pop took by `retryMark@queueId`, out of `retryMark queueId offset,offset` joined by ";". */
export function parsePoppedOffsets(text: string): Map<string, ReadonlySet<string>> {
  const offsets = new Map<string, ReadonlySet<string>>();
  for (const entry of text.split(';')) {
    const [mark = '', queueId = '', list = ''] = entry.split(' ');
    offsets.set(`${mark}@${queueId}`, new Set(list.split(',')));
  }
  return offsets;
}

export function startOffsetKey(mark: PopHandle['retryMark'], queueId: number): string {
  return `${mark}@${queueId}`;
}

function retryMark(text: string, whole: string): PopHandle['retryMark'] {
  if (text === '0') return 0;
  if (text === '1') return 1;
  if (text === '2') return 2;
  throw new ProtocolError(`"${whole}" has the unknown retry mark "${text}"`);
}

function long(text: string, whole: string): bigint {
  if (!/^-?\d{1,19}$/.test(text))
    throw new ProtocolError(`"${whole}" has "${text}" where a number belongs`);
  return BigInt(text);
}
