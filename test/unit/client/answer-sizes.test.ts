import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnswerSizes } from '../../../src/client/answer-sizes.ts';

describe('AnswerSizes', () => {
  it('halves after an answer that is too large, and never asks for less than one', () => {
    const sizes = new AnswerSizes();
    const asked: number[] = [];
    for (let n = 0; n < 7; n++) {
      asked.push(sizes.ask('a', 32));
      sizes.tooLarge('a', sizes.ask('a', 32));
    }
    assert.deepEqual(asked, [32, 16, 8, 4, 2, 1, 1]);
    assert.equal(sizes.ask('b', 32), 32);
  });

  it('grows by one with each answer that fits, up to what is wanted', () => {
    const sizes = new AnswerSizes();
    sizes.tooLarge('a', 4);
    const asked: number[] = [];
    for (let n = 0; n < 5; n++) {
      asked.push(sizes.ask('a', 4));
      sizes.fitted('a', 4);
    }
    assert.deepEqual(asked, [2, 3, 4, 4, 4]);
    assert.equal(sizes.ask('a', 100), 100);
  });
});
