import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  followingFrom,
  type OffsetEvent,
  type OffsetRequest,
  type OffsetState,
  step,
} from '../../src/queue/offset-tracker.ts';

/**
 * A consumer, its tracker and a broker. Requests take place when the broker is asked, and their
 * answers may be lost; others may store an offset at any moment.
 */
class Model {
  state: OffsetState;
  stored: bigint;
  committable: bigint;
  /** What another client stored last, until the consumer goes on there. */
  foreign: bigint | undefined;

  constructor(begin: bigint) {
    this.state = followingFrom(begin);
    this.stored = begin;
    this.committable = begin;
  }

  commit(answer: 'answered' | 'lost' | 'never-sent', between?: () => void): void {
    this.send({ type: 'commit-due', committable: this.committable });
    if (this.request('read') === undefined) return;
    if (answer === 'never-sent') {
      this.send({ type: 'request-failed', connectionLost: false });
      return;
    }
    const offset = this.stored;
    between?.();
    const seen = this.foreign;
    this.send({ type: 'stored', offset, committable: this.committable });
    const write = this.request('write');
    if (write === undefined) return;
    const { offset: written } = write;
    assert.equal(written, this.committable, 'writes the lowest unfinished offset');
    assert.equal(seen, undefined, 'does not write over what another client stored');
    this.stored = written;
    this.send(
      answer === 'lost' ? { type: 'request-failed', connectionLost: false } : { type: 'written' },
    );
  }

  check(): void {
    this.send({ type: 'check-due' });
    this.send({ type: 'stored', offset: this.stored, committable: this.committable });
  }

  request<Kind extends OffsetRequest['kind']>(kind: Kind) {
    const { request } = this.state;
    return request?.kind === kind ? (request as Extract<OffsetRequest, { kind: Kind }>) : undefined;
  }

  store(offset: bigint): void {
    if (offset === this.stored) return;
    this.stored = offset;
    // What we know to be stored, or may have stored ourselves, cannot be told from our own.
    const { confirmed, unconfirmed } = this.state;
    this.foreign = offset === confirmed || offset === unconfirmed ? undefined : offset;
  }

  send(event: OffsetEvent): void {
    const { state, actions } = step(this.state, event);
    this.state = state;
    for (const action of actions)
      if (action.type === 'restart') {
        this.committable = action.at;
        this.foreign = undefined;
      }
  }
}

const offset = fc.bigInt({ min: 0n, max: 40n });
const answer = fc.constantFrom('answered', 'lost', 'never-sent');

test('whatever is lost or changed by others: never past the lowest unfinished offset, never over another client’s', () => {
  fc.assert(
    fc.property(
      offset,
      fc.array(
        fc.oneof(
          fc.record({ do: fc.constant('settle' as const), by: fc.bigInt({ min: 1n, max: 9n }) }),
          fc.record({ do: fc.constant('commit' as const), answer }),
          fc.record({ do: fc.constant('store' as const), offset }),
          fc.record({ do: fc.constant('rewind' as const), to: offset }),
        ),
        { maxLength: 40 },
      ),
      (begin, commands) => {
        const model = new Model(begin);
        for (const command of commands)
          switch (command.do) {
            case 'settle':
              model.committable += command.by;
              break;
            case 'commit':
              model.commit(command.answer);
              break;
            case 'store':
              model.store(command.offset);
              break;
            case 'rewind':
              model.send({ type: 'rewind', to: command.to });
          }
        // Left alone, it stores what is settled, or stands where another client put it.
        for (let round = 0; round < 3; round++) {
          model.check();
          model.commit('answered');
        }
        assert.equal(model.stored, model.committable);
        assert.equal(model.state.confirmed, model.stored);
      },
    ),
    { numRuns: 2_000 },
  );
});
