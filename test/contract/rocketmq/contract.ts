import { clientChecks } from './client.ts';
import { frameChecks } from './frames.ts';
import type { ContractTarget } from './lab.ts';
import { lockChecks } from './locks.ts';
import { longPollChecks } from './long-polling.ts';
import { membershipChecks } from './membership.ts';
import { offsetChecks } from './offsets.ts';
import { pullChecks } from './pulling.ts';
import { resetChecks } from './resets.ts';
import { routeChecks } from './routes.ts';
import { sendChecks } from './sending.ts';
import { sendBackChecks } from './sending-back.ts';
import { topicAndGroupChecks } from './topics-and-groups.ts';

/** Short, so that a take-over can be waited for. */
export const LOCK_MAX_LIVE_MS = 3000;

/** What a RocketMQ broker does, written once; where the embedded broker and the real one differ, the embedded one is wrong. */
export function rocketmqContract(target: () => ContractTarget): void {
  routeChecks(target);
  frameChecks(target);
  topicAndGroupChecks(target);
  sendChecks(target);
  pullChecks(target);
  longPollChecks(target);
  offsetChecks(target);
  resetChecks(target);
  membershipChecks(target);
  lockChecks(target, LOCK_MAX_LIVE_MS);
  sendBackChecks(target);
  clientChecks(target);
}
