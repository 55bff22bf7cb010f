import { renewLease } from './hold-lease.ts';
import type { QueueSession } from './queue-session.ts';

const underWay = new WeakMap<QueueSession, Promise<void>>();

/**
 * Does this holder have its lease? One that ended while the process stood still (an inline handler
 * that blocks, a frozen sandbox) is still its own as long as nobody took over: every acquisition
 * raises the fencing token, so a renewal with ours is applied only then. What was delivered may be
 * settled afterwards, and the queue drains.
 */
export async function holdsLease(session: QueueSession): Promise<boolean> {
  if (session.mayAct()) return true;
  if (session.lifecycle.isLost) return false;
  let regaining = underWay.get(session);
  if (regaining === undefined) {
    regaining = regain(session).finally(() => underWay.delete(session));
    underWay.set(session, regaining);
  }
  await regaining;
  return session.mayAct();
}

async function regain(session: QueueSession): Promise<void> {
  await renewLease(session);
  if (session.lifecycle.isLost) return;
  if (session.mayAct()) session.end('stalled');
  else session.loseLease('it could not be renewed in time', false);
}
