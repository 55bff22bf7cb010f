import { z } from 'zod';
import type { OnFailure } from '../model/failure.ts';
import { isDeployedValue, LONGEST_TOPIC } from './schema-parts.ts';

const DESTINATION =
  'dlq, the ARN of an SQS queue, an SNS topic or an S3 bucket, { type: sqs | sns | s3, arn: { Ref: … } }, or rocketmq://<topic>';
const TOPIC = new RegExp(`^rocketmq://([%|a-zA-Z0-9_-]{1,${LONGEST_TOPIC}})$`);
const ARN = /^arn:aws[a-z-]*:(sqs|sns|s3):([a-z0-9-]*):(\d{12}|):([a-zA-Z0-9_.-]+)$/;

/** `onFailure` of an event; undefined stands for the group's own DLQ. */
const FORM = z.strictObject({ type: z.enum(['sqs', 'sns', 's3']), arn: z.string().min(1) });

export const onFailure = z.unknown().transform((text, context): OnFailure | undefined => {
  const form = FORM.safeParse(text);
  // What CloudFormation fills in does not say of which service it is.
  if (form.success && isDeployedValue(form.data.arn)) return form.data;
  if (typeof text !== 'string') {
    context.addIssue({ code: 'custom', message: DESTINATION });
    return z.NEVER;
  }
  if (text === 'dlq') return undefined;
  const topic = TOPIC.exec(text)?.[1];
  if (topic !== undefined) return { type: 'topic', topic };
  const type = ARN.exec(text)?.[1] as 'sqs' | 'sns' | 's3' | undefined;
  if (type === 'sns' && text.endsWith('.fifo')) {
    context.addIssue({
      code: 'custom',
      message:
        'a standard SNS topic (Lambda sends failures to no FIFO topic either), or an SQS queue',
    });
    return z.NEVER;
  }
  if (type !== undefined) return { type, arn: text };
  context.addIssue({ code: 'custom', message: DESTINATION });
  return z.NEVER;
});
