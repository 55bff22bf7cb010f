import type { Plan } from './plan.ts';
import { runPlan } from './world/world.ts';

const MAX_TRIES = 200;

/** Drops faults one by one, then messages by halves, while the same check still fails. */
export async function shrink(
  whole: Plan,
): Promise<{ readonly plan: Plan; readonly tries: number }> {
  const check = (await runPlan(whole)).violations[0]?.check;
  if (check === undefined) return { plan: whole, tries: 1 };
  let plan = whole;
  let tries = 1;
  const stillFails = async (candidate: Plan): Promise<boolean> => {
    tries++;
    return (await runPlan(candidate)).violations.some((violation) => violation.check === check);
  };
  for (let at = plan.faults.length - 1; at >= 0 && tries < MAX_TRIES; at--) {
    const candidate = { ...plan, faults: plan.faults.toSpliced(at, 1) };
    if (await stillFails(candidate)) plan = candidate;
  }
  for (let size = Math.ceil(plan.messages.length / 2); size >= 1; size = Math.floor(size / 2))
    for (let at = plan.messages.length - size; at >= 0 && tries < MAX_TRIES; at -= size) {
      const candidate = { ...plan, messages: plan.messages.toSpliced(at, size) };
      if (candidate.messages.length > 0 && (await stillFails(candidate))) plan = candidate;
    }
  return { plan, tries };
}
