/** What Lambda's managed Node runtime does, over the real Runtime API: load the handler, then take one event after the other. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`;
const root = process.env.LAMBDA_TASK_ROOT ?? '.';
const [file, exported] = splitHandler(process.env._HANDLER ?? '');

type Handler = (event: unknown, context: object) => unknown;

let handler: Handler;
try {
  const loaded = (await import(pathToFileURL(path.resolve(root, file)).href)) as Record<
    string,
    unknown
  >;
  if (typeof loaded[exported] !== 'function')
    throw Object.assign(new Error(`${file} exports no function ${exported}`), {
      name: 'Runtime.HandlerNotFound',
    });
  handler = loaded[exported] as Handler;
} catch (error) {
  await post('/init/error', describe(error));
  process.exit(1);
}

for (;;) {
  const next = await fetch(`${api}/invocation/next`);
  if (next.status !== 200) process.exit(0);
  const id = next.headers.get('lambda-runtime-aws-request-id') ?? '';
  process.env._X_AMZN_TRACE_ID = next.headers.get('lambda-runtime-trace-id') ?? '';
  const deadline = Number(next.headers.get('lambda-runtime-deadline-ms'));
  const context = {
    awsRequestId: id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: '$LATEST',
    invokedFunctionArn: next.headers.get('lambda-runtime-invoked-function-arn'),
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: '',
    logStreamName: '',
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => deadline - Date.now(),
    done() {},
    fail() {},
    succeed() {},
  };
  try {
    await post(`/invocation/${id}/response`, (await handler(await next.json(), context)) ?? null);
  } catch (error) {
    await post(`/invocation/${id}/error`, describe(error));
  }
}

/** `path/file.mjs.name`: the last dot divides. */
function splitHandler(text: string): [string, string] {
  const dot = text.lastIndexOf('.');
  return [text.slice(0, dot), text.slice(dot + 1)];
}

function describe(error: unknown): object {
  const { name, message, stack } =
    error instanceof Error ? error : { name: 'Error', message: String(error), stack: '' };
  return { errorType: name, errorMessage: message, trace: (stack ?? '').split('\n') };
}

async function post(route: string, body: unknown): Promise<void> {
  await fetch(api + route, { method: 'POST', body: JSON.stringify(body) });
}
