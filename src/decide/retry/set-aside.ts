import type { SetAside } from '../../model/set-aside.ts';
import { localDelayMs } from './redelivery.ts';

/** Delay levels of a stock broker: 10 s for the first time, then 30 s, 1 min, 2 min … 10 min. */
const FIRST_LEVEL = 3;
const LAST_LEVEL = 14;
/** A message that was set aside longer ago was delivered meanwhile: request 36 keeps the property. */
const FORGOTTEN_AFTER_MS = 30 * 60_000;

export type SetAsideStep =
  /** To the end of the retry topic, behind this delay level. */
  | ({ readonly kind: 'send'; readonly level: number } & SetAside)
  /** It came back too soon, and waits here until then, epoch ms. */
  | { readonly kind: 'wait'; readonly until: number };

/**
 * What becomes of a message whose handler cannot be called now. A broker may have other delay levels
 * than a stock one, so a message that comes back before half of its delay waits here for the rest of
 * that half: none is stored again more often.
 * @param before undefined: it was never set aside
 */
export function nextSetAside(before: SetAside | undefined, now: number): SetAsideStep {
  if (before === undefined || now - before.at >= FORGOTTEN_AFTER_MS)
    return { kind: 'send', level: FIRST_LEVEL, times: 1, at: now };
  const until = before.at + delayMs(levelOf(before.times)) / 2;
  if (until > now) return { kind: 'wait', until };
  const times = before.times + 1;
  return { kind: 'send', level: levelOf(times), times, at: now };
}

function levelOf(times: number): number {
  return Math.min(FIRST_LEVEL + times - 1, LAST_LEVEL);
}

function delayMs(level: number): number {
  return localDelayMs({ kind: 'level', level }, 1, 0);
}
