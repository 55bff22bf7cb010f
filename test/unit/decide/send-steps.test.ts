import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { localDelayMs } from '../../../src/decide/retry/redelivery.ts';
import {
  afterFailedEnd,
  afterFailedSend,
  exceedsLimit,
  isPermanent,
  MAX_UNANSWERED,
  MIN_LOCAL_RETRY_MS,
  overallFailure,
  type SendFailure,
} from '../../../src/decide/retry/send-steps.ts';

const FAILURES: readonly SendFailure[] = [
  'busy',
  'unreachable',
  'unanswered',
  'refused',
  'forbidden',
];
const anyFailure = fc.constantFrom(...FAILURES);

/** Plays the ways of one failed message against a broker that answers as `answers` says. */
function play(ways: number, answers: readonly SendFailure[], maxUnanswered: number) {
  const sent: SendFailure[] = [];
  let unanswered = 0;
  for (let way = 0; way < ways; way++)
    for (let attempt = 1; ; attempt++) {
      const failure = answers[sent.length % answers.length] as SendFailure;
      sent.push(failure);
      if (failure === 'unanswered') unanswered++;
      const step = afterFailedSend(failure, { attempt, unanswered, maxUnanswered });
      if (step === 'stop') return { sent, unanswered };
      if (step === 'next-way') break;
    }
  return { sent, unanswered };
}

describe('sends of a failed message', () => {
  it('at most two of them may have been carried out, whatever the broker answers', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(anyFailure, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: MAX_UNANSWERED }),
        (ways, answers, maxUnanswered) => {
          const { sent, unanswered } = play(ways, answers, maxUnanswered);
          assert.ok(unanswered <= maxUnanswered);
          assert.ok(sent.length <= ways * 4);
        },
      ),
    );
  });

  it('only what was certainly not carried out is sent again on the same way', () => {
    const first = { attempt: 1, unanswered: 0, maxUnanswered: 2 };
    const steps = FAILURES.map((failure) => [
      failure,
      afterFailedSend(failure, { ...first, unanswered: failure === 'unanswered' ? 1 : 0 }),
    ]);
    assert.deepEqual(Object.fromEntries(steps), {
      busy: 'repeat',
      unreachable: 'next-way',
      unanswered: 'next-way',
      refused: 'next-way',
      forbidden: 'next-way',
    });
    assert.equal(
      afterFailedSend('unanswered', { attempt: 1, unanswered: 2, maxUnanswered: 2 }),
      'stop',
    );
  });

  it('a repetition may help as long as it may help one way', () => {
    assert.equal(overallFailure(['refused', 'busy', 'forbidden']), 'busy');
    assert.equal(overallFailure(['unanswered', 'busy']), 'unanswered');
    assert.equal(overallFailure(['forbidden', 'refused']), 'refused');
    assert.equal(overallFailure(['unreachable', 'refused']), 'unreachable');
    assert.deepEqual(FAILURES.filter(isPermanent), ['refused', 'forbidden']);
  });
});

describe('the end of a message that is not stored', () => {
  it('comes after finitely many answers of the broker, and waits for one that is not reachable', () => {
    fc.assert(
      fc.property(fc.array(anyFailure, { minLength: 60, maxLength: 60 }), (answers) => {
        let [tries, unanswered] = [0, 0];
        for (const failure of answers) {
          if (failure !== 'unreachable') tries++;
          if (failure === 'unanswered') unanswered++;
          const step = afterFailedEnd(failure, { tries: Math.max(1, tries), unanswered });
          if (step.kind === 'log') {
            assert.notEqual(failure, 'unreachable');
            return;
          }
          assert.ok(step.afterMs >= 5_000 && step.afterMs <= 60_000);
        }
        assert.ok(answers.filter((failure) => failure === 'unanswered').length < 8);
      }),
    );
  });

  it('is the log at once when no repetition helps', () => {
    for (const failure of ['refused', 'forbidden'] as const)
      assert.deepEqual(afterFailedEnd(failure, { tries: 1, unanswered: 0 }), { kind: 'log' });
  });

  it('a busy broker has about ten minutes', () => {
    let waited = 0;
    for (let tries = 1; ; tries++) {
      const step = afterFailedEnd('busy', { tries, unanswered: 0 });
      if (step.kind === 'log') break;
      waited += step.afterMs;
    }
    assert.ok(waited > 8 * 60_000 && waited < 12 * 60_000, String(waited));
  });
});

describe('deliveries that are counted here', () => {
  it('are at their limit only with local ones', () => {
    assert.equal(exceedsLimit(17, 0, 3), false, 'another group counted them');
    assert.equal(exceedsLimit(0, 3, 3), false);
    assert.equal(exceedsLimit(0, 4, 3), true);
    assert.equal(exceedsLimit(2, 2, 3), true);
  });

  it('wait as long as at a broker, and not below the least', () => {
    assert.equal(localDelayMs({ kind: 'auto' }, 1, MIN_LOCAL_RETRY_MS), 10_000);
    assert.equal(localDelayMs({ kind: 'auto' }, 2, MIN_LOCAL_RETRY_MS), 30_000);
    assert.equal(localDelayMs({ kind: 'auto' }, 99, MIN_LOCAL_RETRY_MS), 7_200_000);
    assert.equal(localDelayMs({ kind: 'level', level: 1 }, 1, MIN_LOCAL_RETRY_MS), 5_000);
    assert.equal(localDelayMs({ kind: 'level', level: 5 }, 1, MIN_LOCAL_RETRY_MS), 60_000);
    assert.equal(localDelayMs({ kind: 'seconds', seconds: 0 }, 1, MIN_LOCAL_RETRY_MS), 5_000);
    assert.equal(localDelayMs({ kind: 'seconds', seconds: 77 }, 1, MIN_LOCAL_RETRY_MS), 77_000);
  });
});
