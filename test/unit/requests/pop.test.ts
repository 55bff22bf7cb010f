import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RemotingCommand } from '../../../src/remoting/command.ts';
import { ackMessage } from '../../../src/requests/ack-message.ts';
import { changeInvisibleTime } from '../../../src/requests/change-invisible-time.ts';
import type { Wire } from '../../../src/requests/define-request.ts';
import { notification } from '../../../src/requests/notification.ts';
import { popMessage } from '../../../src/requests/pop-message.ts';

const command = ({ extFields, body = Buffer.alloc(0) }: Wire): RemotingCommand => ({
  code: 0,
  language: 'JAVA',
  version: 513,
  opaque: 1,
  flag: 0,
  remark: undefined,
  extFields,
  body,
});
const place = { consumerGroup: 'workers', topic: 'orders', queueId: 2 };
const popped = { ...place, extraInfo: '7 1 60000 3 0 broker-a 2 9', offset: 9n };
const changed = { popTime: 12n, invisibleTime: 60_000n, reviveQid: 3 };

test('the requests of POP are in Java’s words, and a broker reads back what was meant', () => {
  const pop = {
    ...place,
    maxMsgNums: 32,
    invisibleTime: 60_000,
    pollTime: 15_000,
    bornTime: 0,
    initMode: 0,
    expType: 'TAG',
    exp: '*',
    order: false,
  };
  assert.deepEqual(
    [popMessage.code, ackMessage.code, changeInvisibleTime.code, notification.code],
    [200_050, 200_051, 200_053, 200_054],
  );
  assert.deepEqual(popMessage.encode(pop).extFields, {
    consumerGroup: 'workers',
    topic: 'orders',
    queueId: '2',
    maxMsgNums: '32',
    invisibleTime: '60000',
    pollTime: '15000',
    bornTime: '0',
    initMode: '0',
    expType: 'TAG',
    exp: '*',
    order: 'false',
  });
  assert.deepEqual(popMessage.decode(command(popMessage.encode(pop))), pop);
  assert.deepEqual(ackMessage.decode(command(ackMessage.encode(popped))), popped);
  const change = { ...popped, invisibleTime: 1_000 };
  assert.deepEqual(changeInvisibleTime.decode(command(changeInvisibleTime.encode(change))), change);
  const ask = { ...place, pollTime: 0, bornTime: 0 };
  assert.deepEqual(notification.decode(command(notification.encode(ask))), ask);
});

test('their answers come back', () => {
  const answer = {
    ...changed,
    restNum: 4n,
    startOffsetInfo: '0 2 7',
    msgOffsetInfo: '0 2 7,9',
    records: Buffer.from('records'),
  };
  assert.deepEqual(popMessage.decodeAnswer(command(popMessage.encodeAnswer(answer))), answer);
  assert.deepEqual(
    changeInvisibleTime.decodeAnswer(command(changeInvisibleTime.encodeAnswer(changed))),
    changed,
  );
  for (const told of [
    { hasMsg: true, pollingFull: false },
    { hasMsg: false, pollingFull: true },
  ])
    assert.deepEqual(notification.decodeAnswer(command(notification.encodeAnswer(told))), told);
});
