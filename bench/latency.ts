import { jsonLines, runJava } from '../test/support/java.ts';
import { runOwn } from './own-process.ts';
import type { Place } from './report.ts';

const MESSAGES = 1000;
/** 50 messages a second. */
const PAUSE_MS = 20;

interface Latencies {
  readonly p50: number;
  readonly p99: number;
}

/** Milliseconds from before the send to the handler, each side's producer and consumer in one process. */
export async function measureLatency({ nameServer, endpoint, client, note }: Place): Promise<void> {
  const results: Record<string, Latencies | undefined> = {};
  for (const [name, topic] of [
    ['serverless-rocketmq', 'bench-latency-own'],
    ['Java DefaultMQPushConsumer', 'bench-latency-java'],
  ] as const) {
    await client.createTopic(topic, { readQueueNums: 8, writeQueueNums: 8 });
    const args = [topic, String(MESSAGES), String(PAUSE_MS), `group-${topic}`];
    results[name] =
      name === 'serverless-rocketmq'
        ? await runOwn<Latencies>('./own-latency.ts', [nameServer, endpoint, ...args])
        : jsonLines<Latencies>(await runJava('LatencyBench', [nameServer, ...args]))[0];
  }
  for (const [name, latencies] of Object.entries(results))
    if (latencies !== undefined) {
      note({ what: `latency p50, ${name}`, value: latencies.p50, unit: 'ms' });
      note({ what: `latency p99, ${name}`, value: latencies.p99, unit: 'ms' });
    }
}
