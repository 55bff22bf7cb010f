import { shortened } from '../model/answer-shape.ts';
import type { RocketMQFailureOptions } from '../model/event.ts';

/** The same in every copy of this package and in every realm: a bundle may have it twice. */
const MARK = Symbol.for('serverless-rocketmq.MessageFailure');
const NAMES = ['delayLevel', 'delaySeconds', 'action'] as const;

/** Throw it to say what becomes of the message: `throw new MessageFailure('not yet paid', { delaySeconds: 60 })`. Other errors say nothing of that, whatever fields they have. */
export class MessageFailure extends Error implements RocketMQFailureOptions {
  declare readonly delayLevel?: number;
  declare readonly delaySeconds?: number;
  declare readonly action?: 'retry' | 'dlq' | 'drop';
  constructor(message: string, what: RocketMQFailureOptions = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MessageFailure';
    Object.assign(this, optionsIn(what ?? {}));
  }

  static {
    Object.defineProperty(MessageFailure.prototype, MARK, { value: true });
  }
}

/** Does what a function for one message returned say that the message failed? */
export function isFailure(returned: unknown): boolean {
  return returned instanceof Error || isMarked(returned);
}

/** What was thrown says of its message: of a MessageFailure its options, of everything else nothing. Never throws. */
export function failureOptions(thrown: unknown): RocketMQFailureOptions {
  try {
    return isMarked(thrown) ? optionsIn(thrown) : {};
  } catch {
    return {};
  }
}

function isMarked(value: unknown): value is MessageFailure {
  return (value as { readonly [MARK]?: true } | null | undefined)?.[MARK] === true;
}

/** Only what is said, in a form that JSON has: one message's value must not keep the answer from being written. The puller names values that it cannot follow. */
function optionsIn(what: RocketMQFailureOptions): RocketMQFailureOptions {
  const said = NAMES.flatMap((name) => {
    const value: unknown = what[name];
    return value === undefined || value === null ? [] : [[name, inJson(value)]];
  });
  return Object.fromEntries(said) as RocketMQFailureOptions;
}

function inJson(value: unknown): string | number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  try {
    return shortened(String(value));
  } catch {
    return typeof value;
  }
}
