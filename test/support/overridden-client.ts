import type { RocketMQ } from '../../src/ports/rocketmq.ts';

/** A client of which some calls are the test's own. */
export function overriddenClient(client: RocketMQ, calls: Partial<RocketMQ>): RocketMQ {
  return new Proxy(client, {
    get(target, name) {
      const own = Reflect.get(calls, name) as unknown;
      if (own !== undefined) return own;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
