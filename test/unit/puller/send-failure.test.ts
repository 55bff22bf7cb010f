import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BrokerError,
  ConnectionError,
  GroupNotFoundError,
  PermissionError,
  ProtocolError,
  RequestTimeoutError,
  RocketMQError,
  TopicNotFoundError,
  UnsupportedRequestError,
} from '../../../src/errors.ts';
import { sendFailureOf } from '../../../src/puller/send-failure.ts';

const broker = (code: number, remark?: string) =>
  new BrokerError('SEND_MESSAGE_V2', 'broker:10911', code, String(code), remark);

describe('what an error says about a send', () => {
  for (const [failure, errors] of Object.entries({
    busy: [
      broker(2, '[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while'),
      broker(14, 'service not available now. It may be caused by … the disk is full'),
      broker(215),
      broker(1500),
      // The status of request 36 stands in the remark.
      broker(1, 'SERVICE_NOT_AVAILABLE'),
      broker(1, 'OS_PAGE_CACHE_BUSY'),
      broker(1, 'CREATE_MAPPED_FILE_FAILED'),
      broker(1, 'CREATE_MAPEDFILE_FAILED'),
      broker(1, 'IN_SYNC_REPLICAS_NOT_ENOUGH'),
      broker(1, '[PC_SYNCHRONIZED]broker busy, start flow control for a while'),
      broker(1, 'create mapped file failed, server is busy or broken.'),
      broker(1, 'timer message is under flow control, max num limit is 10'),
    ],
    refused: [
      broker(13, 'the message is illegal, maybe msg body or properties length not matched'),
      broker(1, 'MESSAGE_ILLEGAL'),
      broker(1, 'PROPERTIES_SIZE_EXCEEDED'),
      broker(1, 'java.lang.NullPointerException'),
      broker(1, 'look message by offset failed, 77'),
      broker(1, 'accurate timer message is not enabled, timerWheelEnable is false'),
      broker(29, 'request queueId[7] is illegal'),
      broker(4711),
      new RocketMQError('ROCKETMQ_MESSAGE_ILLEGAL', 'a message has no body'),
      new TypeError('not a function'),
      'a text',
    ],
    forbidden: [
      broker(16, 'the topic[%RETRY%workers] sending message is forbidden'),
      broker(17, 'topic[%DLQ%workers] not exist, apply first please!'),
      broker(26),
      new PermissionError('CONSUMER_SEND_MSG_BACK', 'b', 16, 'NO_PERMISSION', undefined),
      new GroupNotFoundError('CONSUMER_SEND_MSG_BACK', 'b', 26, 'SUBSCRIPTION_GROUP_NOT_EXIST', ''),
      new UnsupportedRequestError('x', 'b', 3, 'REQUEST_CODE_NOT_SUPPORTED', undefined),
      new TopicNotFoundError('%DLQ%workers', ['n']),
    ],
    unanswered: [
      new RequestTimeoutError('b', 'CONSUMER_SEND_MSG_BACK', 5_000),
      new ConnectionError('b', 'the connection broke'),
      new ProtocolError('no answer that can be read'),
    ],
    unreachable: [new ConnectionError('b', 'nobody listens', { maybeSent: false })],
  }))
    it(failure, () => {
      assert.deepEqual(errors.filter((error) => sendFailureOf(error) !== failure).map(String), []);
    });
});
