import { createHash } from 'node:crypto';
import type { MessageQueue } from '../../model/message-queue.ts';
import type { Allocator } from './allocator.ts';

const DEFAULT_VIRTUAL_NODES = 10;

interface Node {
  readonly hash: number;
  readonly clientId: string;
}

/** Queues belong to the next client on a ring: few of them move when a client comes or goes. Mirrors AllocateMessageQueueConsistentHash and ConsistentHashRouter. */
export function consistentHash(
  queues: readonly MessageQueue[],
  clientIds: readonly string[],
  virtualNodes: number = DEFAULT_VIRTUAL_NODES,
): Allocator {
  const ring = buildRing(clientIds, virtualNodes);
  const owned = Map.groupBy(queues, (queue) => owner(ring, queueText(queue)));
  return (clientId) => [...(owned.get(clientId) ?? [])];
}

/** A later node replaces an earlier one of the same hash. A client that stands twice gets further replicas, numbered as Java's router numbers them. */
function buildRing(clientIds: readonly string[], virtualNodes: number): Node[] {
  const nodes = new Map<number, string>();
  const seen = new Set<string>();
  for (const clientId of clientIds) {
    const existing = seen.has(clientId)
      ? [...nodes.values()].filter((id) => id === clientId).length
      : 0;
    for (let replica = existing; replica < existing + virtualNodes; replica++)
      nodes.set(hash(`${clientId}-${replica}`), clientId);
    seen.add(clientId);
  }
  return [...nodes]
    .map(([value, clientId]) => ({ hash: value, clientId }))
    .sort((a, b) => a.hash - b.hash);
}

/** First node at or after the key's hash, else the first of all. */
function owner(ring: readonly Node[], key: string): string | undefined {
  const value = hash(key);
  let [low, high] = [0, ring.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ring[middle] as Node).hash < value) low = middle + 1;
    else high = middle;
  }
  return (ring[low] ?? ring[0])?.clientId;
}

/** The first four bytes of the MD5, unsigned. */
function hash(text: string): number {
  return createHash('md5').update(text, 'utf8').digest().readUInt32BE(0);
}

/** Java's MessageQueue.toString, which is the key on the ring. */
function queueText({ topic, brokerName, queueId }: MessageQueue): string {
  return `MessageQueue [topic=${topic}, brokerName=${brokerName}, queueId=${queueId}]`;
}
