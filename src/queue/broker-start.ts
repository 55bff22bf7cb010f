import { uptimeMs } from '../decide/offset/broker-uptime.ts';
import type { Clock } from '../ports/clock.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';

const BROKER_INFO_TIMEOUT_MS = 3_000;
/** Brokers report their uptime in whole seconds. */
const UPTIME_UNIT_MS = 1_000;

/**
 * Earliest time at which the broker may have been started, epoch ms of our clock. With ACL the
 * request takes an administrator's right: without it, and without an answer, undefined.
 */
export async function brokerStartedAt(
  client: Pick<RocketMQ, 'brokerInfo'>,
  clock: Pick<Clock, 'now'>,
  brokerName: string,
  options: Pick<CallOptions, 'signal'> = {},
): Promise<number | undefined> {
  const info = await client
    .brokerInfo(brokerName, { ...options, timeoutMs: BROKER_INFO_TIMEOUT_MS })
    .catch(() => undefined);
  const uptime = info && uptimeMs(info);
  return uptime === undefined ? undefined : clock.now() - uptime - UPTIME_UNIT_MS;
}
