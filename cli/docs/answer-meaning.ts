import { readFileSync } from 'node:fs';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import { createLambdaHandler } from '../../src/delivery/lambda-handler.ts';
import { type CallOutcome, readOutcome } from '../../src/delivery/read-outcome.ts';
import type { EventFormatName } from '../../src/model/event-formats.ts';

/** What a Lambda runtime posted for a handler's answer: test/vectors/README.md. */
export interface PostedAnswer {
  readonly language: string;
  readonly handler: string;
  readonly case: string;
  readonly kind: 'answer' | 'error';
  readonly body: string;
}

const VECTORS = new URL('../../test/vectors/answers.json', import.meta.url);
/** Lambda names an error of a handler in the header of its response. */
const FUNCTION_ERROR = 'Unhandled';

export function postedAnswers(): readonly PostedAnswer[] {
  return (JSON.parse(readFileSync(VECTORS, 'utf8')) as { answers: PostedAnswer[] }).answers;
}

/** What the answer means for a batch of the messages A and B, by the code that reads answers of functions. */
export async function meaningOf(
  { kind, body }: Pick<PostedAnswer, 'kind' | 'body'>,
  eventFormat: EventFormatName,
): Promise<string> {
  const client = {
    send: async () => ({
      Payload: Buffer.from(body),
      ...(kind === 'error' ? { FunctionError: FUNCTION_ERROR } : {}),
    }),
  } as unknown as LambdaClient;
  const payload = { json: () => '{}', event: () => ({}) as never };
  const outcome = await createLambdaHandler(client, 'f').invoke(payload, { timeoutMs: 1_000 });
  const records = ['A', 'B'].map((messageId, position) => ({
    messageId,
    receiptHandle: `handle of ${messageId}`,
    rocketmq: {
      topic: 'orders',
      brokerName: 'broker-a',
      queueId: 0,
      queueOffset: String(position),
    },
  }));
  return describeOutcome(
    readOutcome(outcome, records as never, {
      eventFormat,
    }),
  );
}

function describeOutcome(outcome: CallOutcome): string {
  if (outcome.kind === 'failed') return `the call failed: ${outcome.errorType}`;
  if (outcome.kind !== 'answered') return outcome.kind;
  const { verdict } = outcome;
  if (verdict.kind === 'invalid') return `the batch failed: ${verdict.reason}`;
  if (verdict.failures.size === 0) return 'all done';
  const failed = [...verdict.failures].map(([position, end]) => {
    const name = position === 0 ? 'A' : 'B';
    if (end === 'default') return `${name} failed`;
    if (end.kind === 'seconds') return `${name} failed, again after ${end.seconds} s`;
    return end.kind === 'auto'
      ? `${name} failed, again at the broker's delay`
      : `${name}: ${end.kind}`;
  });
  const wish = verdict.wrongWish === undefined ? '' : ` (not followed: ${verdict.wrongWish})`;
  return failed.join('; ') + wish;
}

/** The corner table of docs/reference.md. */
export async function answersTable(): Promise<string> {
  const rows: string[] = [];
  for (const answer of postedAnswers()) {
    const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
    rows.push(
      `| ${answer.language} | ${cell(answer.case)} | \`${cell(answer.body)}\` | ${cell(await meaningOf(answer, 'sqs'))} |`,
    );
  }
  return `| language | answer | on the wire | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}`;
}
