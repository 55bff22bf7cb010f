import { networkProbe } from '../../src/client/network-probe.ts';
import type { OperatorDeps } from '../../src/operator/operator-deps.ts';
import { systemClock } from '../../src/runtime/system-clock.ts';

/** What an operator's computer has, whatever service it works on. */
export const LOCAL_OPERATOR: Omit<OperatorDeps, 'service' | 'clients' | 'store'> = {
  clock: systemClock,
  remainingMs: () => 60_000,
  handlers: () => ({ invoke: async () => ({ kind: 'answered', answer: undefined }) }),
  checkHandler: async () => undefined,
  probe: networkProbe,
  place: 'local',
};
