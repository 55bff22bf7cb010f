import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidFilterError } from '../../../src/errors.ts';
import {
  buildSubscription,
  javaHashCode,
  matchesTags,
  userTopic,
} from '../../../src/records/subscription.ts';
import { readVectors } from '../../support/vectors.ts';

interface SubscriptionVector {
  readonly expression: string | null;
  readonly error?: string;
  readonly subString?: string;
  readonly tagsSet?: string[];
  readonly codeSet?: number[];
  readonly expressionType?: string;
}
const VECTORS = readVectors<{
  subscriptions: SubscriptionVector[];
  tagHashes: { tag: string; hash: number }[];
}>('subscriptions');

describe('buildSubscription', () => {
  for (const { expression, error, ...expected } of VECTORS.subscriptions)
    it(`does as Java with ${JSON.stringify(expression)}`, () => {
      if (error !== undefined) {
        assert.throws(() => buildSubscription('T', expression), InvalidFilterError);
        return;
      }
      const { topic, subVersion, ...subscription } = buildSubscription('T', expression);
      assert.deepEqual([topic, subVersion], ['T', 0]);
      // Java's sets have no order; the vectors list them sorted.
      const tagsSet = [...subscription.tagsSet].sort();
      const codeSet = [...subscription.codeSet].sort((a, b) => a - b);
      assert.deepEqual({ ...subscription, tagsSet, codeSet }, expected);
    });

  it('keeps the tags in their order, without repeats', () => {
    assert.deepEqual(buildSubscription('T', 'b || a||b ').tagsSet, ['b', 'a']);
  });

  it('takes no expression as all', () =>
    assert.equal(buildSubscription('T', undefined).subString, '*'));

  it('passes SQL92 on as it is', () => {
    assert.deepEqual(buildSubscription('T', 'a > 1 || b', 'SQL92', 5), {
      topic: 'T',
      subString: 'a > 1 || b',
      expressionType: 'SQL92',
      tagsSet: [],
      codeSet: [],
      subVersion: 5,
    });
  });

  it('refuses expressions without content', () => {
    for (const expression of ['||', ' || ', ' '])
      assert.throws(() => buildSubscription('T', expression), InvalidFilterError);
    for (const expression of ['', ' ', null])
      assert.throws(() => buildSubscription('T', expression, 'SQL92'), InvalidFilterError);
  });
});

describe('javaHashCode', () => {
  for (const { tag, hash } of VECTORS.tagHashes)
    it(`of ${JSON.stringify(tag)} is Java’s`, () => assert.equal(javaHashCode(tag), hash));
});

describe('matchesTags', () => {
  it('compares text, where brokers compare hashes', () => {
    assert.equal(javaHashCode('Aa'), javaHashCode('BB'));
    const subscription = buildSubscription('T', 'Aa||C');
    assert.deepEqual(
      ['Aa', 'C', 'BB', '', undefined].map((tag) => matchesTags(subscription, tag)),
      [true, true, false, false, false],
    );
  });

  it('lets everything pass for "*" and for SQL92', () => {
    for (const subscription of [
      buildSubscription('T', '*'),
      buildSubscription('T', 'a = 1', 'SQL92'),
    ])
      assert.deepEqual(
        ['x', undefined].map((tag) => matchesTags(subscription, tag)),
        [true, true],
      );
  });
});

describe('userTopic', () => {
  const message = (topic: string, properties: Record<string, string> = {}) => ({
    topic,
    properties: new Map(Object.entries(properties)),
  });

  it('is the topic that the message was first sent to', () => {
    assert.equal(userTopic(message('orders'), 'G'), 'orders');
    assert.equal(userTopic(message('orders', { RETRY_TOPIC: 'x' }), 'G'), 'orders');
    assert.equal(userTopic(message('%RETRY%G', { RETRY_TOPIC: 'orders' }), 'G'), 'orders');
  });

  it('stays the retry topic when the property is missing or the group another’s', () => {
    assert.equal(userTopic(message('%RETRY%G'), 'G'), '%RETRY%G');
    assert.equal(userTopic(message('%RETRY%H', { RETRY_TOPIC: 'orders' }), 'G'), '%RETRY%H');
  });
});
