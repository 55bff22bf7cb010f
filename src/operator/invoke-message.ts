import { queueKey } from '../model/message-queue.ts';
import { deliverDirectly } from '../puller/deliver-directly.ts';
import { userTopic } from '../records/subscription.ts';
import type { Arguments } from './arguments.ts';
import { type MessageView, messageView } from './message-view.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { notFound, refused, usage } from './operator-error.ts';
import { messageAt } from './queue-figures.ts';
import { chooseQueue, chooseSource } from './scope.ts';

export interface InvokeAnswer {
  readonly message: MessageView;
  readonly functionName: string;
  /** What the handler's answer means for the message, were it a delivery. */
  readonly result: 'CR_SUCCESS' | 'CR_LATER' | 'CR_THROW_EXCEPTION';
  readonly remark?: string;
  readonly spentMs: number;
}

/** One stored message to the handler that takes its topic, as an event like any other. Nothing is committed or sent back, whatever comes of it. */
export async function invokeMessage(deps: OperatorDeps, args: Arguments): Promise<InvokeAnswer> {
  const source = chooseSource(deps, args);
  const queue = chooseQueue(source, args) ?? usage('--queue is missing: give TOPIC/BROKER/ID');
  const offset = args.offset('offset') ?? usage('--offset is missing');
  args.finish();
  const message =
    (await messageAt(deps.clients(source.cluster), source.consumerGroup, queue, offset)) ??
    notFound(`${queueKey(queue)} has no message at offset ${offset}`);
  const topic = userTopic(message, source.consumerGroup);
  const handler =
    source.subscriptions.find((one) => one.topic === topic)?.handler ??
    notFound(`no handler of group "${source.consumerGroup}" takes topic "${topic}"`);
  if (handler.invocation === 'inline')
    refused(
      `the handler of ${topic} runs inside the puller (invocation: inline), and cannot be called alone: use peek --full and serverless invoke local`,
    );
  if (handler.timeout * 1000 + RESERVE_MS > deps.remainingMs())
    refused(
      `the handler may take ${handler.timeout} s, which is longer than this request may: use --local`,
    );
  const direct = await deliverDirectly(deps, source, message);
  return { message: messageView(message, 2_000), functionName: handler.functionName, ...direct };
}

const RESERVE_MS = 5_000;
