import type { MessageQueue } from '../../model/message-queue.ts';

/** The queues of one client, over queues and clients that were given before, both sorted. A client that is not among them gets nothing. */
export type Allocator = (clientId: string) => MessageQueue[];
