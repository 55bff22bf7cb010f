import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestCode, requestName } from '../../../src/remoting/request-code.ts';
import {
  ResponseCode,
  responseBehaviour,
  responseName,
} from '../../../src/remoting/response-code.ts';

describe('codes', () => {
  it('name one number each', () => {
    for (const table of [RequestCode, ResponseCode])
      assert.equal(new Set(Object.values(table)).size, Object.keys(table).length);
  });

  it('have Java’s numbers', () => {
    const {
      PULL_MESSAGE,
      CONSUMER_SEND_MSG_BACK,
      LITE_PULL_MESSAGE,
      POP_MESSAGE,
      UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    } = RequestCode;
    assert.deepEqual(
      [
        PULL_MESSAGE,
        CONSUMER_SEND_MSG_BACK,
        LITE_PULL_MESSAGE,
        POP_MESSAGE,
        UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
      ],
      [11, 36, 361, 200050, 200],
    );
    assert.deepEqual(
      [
        ResponseCode.PULL_OFFSET_MOVED,
        ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        ResponseCode.GO_AWAY,
      ],
      [21, 26, 1500],
    );
  });

  it('have names, also when nobody knows them', () => {
    assert.equal(requestName(105), 'GET_ROUTEINFO_BY_TOPIC');
    assert.equal(requestName(9999), 'request 9999');
    assert.equal(responseName(17), 'TOPIC_NOT_EXIST');
    assert.deepEqual(responseBehaviour(9999), { name: 'RESPONSE_9999' });
  });

  it('say what a client does about them', () => {
    assert.deepEqual(responseBehaviour(ResponseCode.SUCCESS), { name: 'SUCCESS' });
    assert.deepEqual(responseBehaviour(ResponseCode.SYSTEM_BUSY), {
      name: 'SYSTEM_BUSY',
      retry: true,
    });
    assert.deepEqual(responseBehaviour(ResponseCode.NO_PERMISSION), {
      name: 'NO_PERMISSION',
      fatal: true,
    });
    assert.deepEqual(responseBehaviour(ResponseCode.NOT_LEADER_FOR_QUEUE), {
      name: 'NOT_LEADER_FOR_QUEUE',
      refreshRoute: true,
    });
    assert.deepEqual(responseBehaviour(ResponseCode.FLUSH_SLAVE_TIMEOUT), {
      name: 'FLUSH_SLAVE_TIMEOUT',
      stored: true,
    });
    assert.equal(responseBehaviour(ResponseCode.GO_AWAY).reconnect, true);
  });

  it('never tell to repeat what cannot help', () => {
    for (const code of Object.values(ResponseCode)) {
      const { retry, fatal } = responseBehaviour(code);
      assert.ok(!(retry && fatal), responseName(code));
    }
  });
});
