import type { Answer, Order, RunOrder, SeedResult } from './orders.ts';
import type { Plan } from './plan.ts';
import { planOf } from './scenarios.ts';
import { shrink } from './shrink.ts';
import { type RunResult, runPlan } from './world/world.ts';

/** Does what the main thread asks for. @param began called before each run */
export async function carryOut(order: Order, began: (run: RunOrder) => void): Promise<Answer> {
  switch (order.kind) {
    case 'run': {
      const results: SeedResult[] = [];
      for (const run of order.runs) {
        began(run);
        const result = resultOf(run, await runPlan(planOf(run.scenario, run.seed)));
        results.push(result);
        if (order.stopAtFailure && result.violations.length > 0) break;
      }
      return { kind: 'ran', results };
    }
    case 'run-plan': {
      const { plan } = order;
      began({ scenario: plan.scenario, seed: plan.seed });
      return { kind: 'ran', results: [resultOf(plan, await runPlan(plan))] };
    }
    case 'explain': {
      const whole = planOf(order.run.scenario, order.run.seed);
      const { plan, tries } = order.shrinks
        ? await shrink(whole, () => began(order.run))
        : { plan: whole, tries: 0 };
      const result = await runPlan(plan);
      return {
        kind: 'explained',
        result: resultOf(order.run, result),
        faults: plan.faults,
        messages: plan.messages.length,
        tries,
        trace: traceOf(plan, result),
      };
    }
  }
}

function resultOf(
  { scenario, seed }: RunOrder,
  { trace: _trace, ...result }: RunResult,
): SeedResult {
  return { scenario, seed, ...result };
}

function traceOf(plan: Plan, { trace }: RunResult): string[] {
  const { subscriptions, ...source } = plan.source;
  return [
    `source ${JSON.stringify(source)}`,
    `subscription ${JSON.stringify(subscriptions[0])}`,
    ...plan.messages
      .filter(({ behaviour }) => behaviour.kind !== 'ok')
      .map(({ number, behaviour }) => `message ${number} ${JSON.stringify(behaviour)}`),
    ...plan.faults.map((fault) => `fault ${JSON.stringify(fault)}`),
    ...trace.lines(),
  ];
}
