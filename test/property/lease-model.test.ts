import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import fc from 'fast-check';
import { connect, databases, TABLE } from '../support/databases.ts';
import { createLeaseWorld, MAX_SKEW_MS, type Turn } from '../support/lease-world.ts';

/** Replays: `PROPERTY_SEED=… npm test -- lease-model`; `LEASE_RUNS` for longer searches. */
const seed = fc.readConfigureGlobal().seed ?? Date.now() % 2 ** 31;
const numRuns = Number(process.env.LEASE_RUNS ?? 40);

const turn: fc.Arbitrary<Turn> = fc.record({
  actor: fc.nat(5),
  action: fc.nat(99),
  latency: fc.nat(3_000),
  /** What becomes of the answers: all well, lost and repeated by the SDK, lost for good. */
  fault: fc.oneof(
    { weight: 8, arbitrary: fc.constant('none' as const) },
    { weight: 1, arbitrary: fc.constantFrom('repeat' as const, 'give-up' as const) },
  ),
});
const story = fc.record({
  skews: fc.array(fc.integer({ min: -MAX_SKEW_MS, max: MAX_SKEW_MS }), {
    minLength: 6,
    maxLength: 6,
  }),
  /** Time passes, then up to three actors take their turns at once. */
  rounds: fc.array(
    fc.record({
      wait: fc.oneof(
        { weight: 4, arbitrary: fc.nat(6_000) },
        { weight: 1, arbitrary: fc.nat(40_000) },
      ),
      turns: fc.uniqueArray(turn, { minLength: 1, maxLength: 3, selector: ({ actor }) => actor }),
    }),
    { minLength: 20, maxLength: 80 },
  ),
});

for (const { name, missing, start } of databases) {
  describe(`leases on ${name}`, { skip: missing }, () => {
    let database: Awaited<ReturnType<typeof start>>;
    let client: DynamoDBClient;
    before(async () => {
      database = await start();
      client = await connect(database.endpoint);
    });
    after(async () => {
      client.destroy();
      await database.stop();
    });

    test('never two who act, never a commit by a loser, fences rise', async (t) => {
      t.diagnostic(`PROPERTY_SEED=${seed} LEASE_RUNS=${numRuns}`);
      const seen = {
        acquisitions: 0,
        takeOvers: 0,
        successions: 0,
        commits: 0,
        lost: 0,
        giveUps: 0,
      };
      await fc.assert(
        fc.asyncProperty(story, async ({ skews, rounds }) => {
          const world = await createLeaseWorld(client, TABLE, randomUUID(), skews);
          for (const { wait, turns } of rounds) {
            world.pass(wait);
            await world.take(turns);
          }
          await world.endsWell();
          for (const key of Object.keys(seen) as (keyof typeof seen)[])
            seen[key] += world.seen[key];
        }),
        { seed, numRuns, endOnFailure: true },
      );
      t.diagnostic(JSON.stringify(seen));
      // A model in which nothing happens proves nothing.
      for (const [what, count] of Object.entries(seen))
        assert.ok(count > numRuns / 10, `only ${count} ${what}`);
    });
  });
}
