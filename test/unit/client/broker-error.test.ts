import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { brokerError } from '../../../src/client/broker-error.ts';
import {
  BrokerError,
  GroupNotFoundError,
  InvalidFilterError,
  PermissionError,
  type RocketMQError,
} from '../../../src/errors.ts';

function errorOf(code: number, remark?: string): RocketMQError {
  const header = {
    language: 'JAVA',
    version: 513,
    opaque: 1,
    flag: 1,
    extFields: {},
    body: Buffer.alloc(0),
  };
  return brokerError('PULL_MESSAGE', '10.0.0.1:10911', { ...header, code, remark });
}

describe('brokerError', () => {
  for (const [code, remark, kind, name, text] of [
    [
      16,
      'no right.',
      PermissionError,
      'ROCKETMQ_PERMISSION',
      /NO_PERMISSION \(16\): no right\. Check accessKey and secretKey/,
    ],
    [
      1,
      'org.apache.rocketmq.acl.common.AclException: No accessKey is configured, AclUtils',
      PermissionError,
      'ROCKETMQ_PERMISSION',
      /Check accessKey/,
    ],
    [
      26,
      'subscription group [g] not exist',
      GroupNotFoundError,
      'ROCKETMQ_GROUP_NOT_FOUND',
      /mqadmin updateSubGroup/,
    ],
    [
      23,
      'parse the expression[a >] failed',
      InvalidFilterError,
      'ROCKETMQ_INVALID_FILTER',
      /parse the expression\[a >\] failed/,
    ],
    [
      2,
      '[OVERLOAD]system busy',
      BrokerError,
      'ROCKETMQ_BROKER',
      /PULL_MESSAGE was refused by 10\.0\.0\.1:10911 with SYSTEM_BUSY \(2\): \[OVERLOAD\]/,
    ],
    [1, 'look message by offset failed', BrokerError, 'ROCKETMQ_BROKER', /SYSTEM_ERROR \(1\)/],
    [9999, undefined, BrokerError, 'ROCKETMQ_BROKER', /RESPONSE_9999 \(9999\)$/],
  ] as const)
    it(`${code} ${remark ?? ''}: ${name}`, () => {
      const error = errorOf(code, remark);
      assert.equal(error.constructor, kind);
      assert.equal(error.code, name);
      assert.match(error.message, text);
      if (error instanceof BrokerError)
        assert.deepEqual(
          [error.responseCode, error.remark, error.address],
          [code, remark, '10.0.0.1:10911'],
        );
    });
});
