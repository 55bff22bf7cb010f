// node collect.mjs LANGUAGE HANDLER COMMAND… : starts a Lambda runtime with the Runtime API of this
// process, calls its handler once for each case of the line on stdin (a JSON list), and prints what
// the runtime posted: {"language","handler","case","kind":"answer"|"error","body"} per line.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';

const [language, handler, command, ...args] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(0, 'utf8'));
let next = 0;
const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString();
    const [, kind] = /\/(next|response|error)$/.exec(request.url) ?? [];
    if (kind === 'next') {
      if (next === cases.length) return finish();
      response.writeHead(200, {
        'Lambda-Runtime-Aws-Request-Id': String(next),
        'Lambda-Runtime-Deadline-Ms': String(Date.now() + 60_000),
        'Lambda-Runtime-Invoked-Function-Arn': 'arn:aws:lambda:eu-west-1:123456789012:function:f',
        'Content-Type': 'application/json',
      });
      response.end(JSON.stringify({ case: cases[next++] }));
      return;
    }
    const about = { language, handler, case: cases[next - 1] };
    // Stack traces hold places of this machine.
    const shown = kind === 'error' ? withoutTrace(body) : body;
    console.log(JSON.stringify({ ...about, kind: kind === 'error' ? 'error' : 'answer', body: shown }));
    response.writeHead(202, { 'Content-Type': 'application/json' });
    response.end('{}');
    if (next === cases.length) finish();
  });
});

function withoutTrace(body) {
  const { errorType, errorMessage } = JSON.parse(body);
  return JSON.stringify({ errorMessage, errorType });
}

let child;
function finish() {
  child.kill('SIGKILL');
  server.closeAllConnections();
  server.close();
}
server.listen(0, '127.0.0.1', () => {
  child = spawn(command, args, {
    env: {
      ...process.env,
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${server.address().port}`,
      _HANDLER: handler,
      AWS_LAMBDA_FUNCTION_NAME: 'f',
      AWS_LAMBDA_FUNCTION_VERSION: '1',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_LAMBDA_LOG_GROUP_NAME: 'g',
      AWS_LAMBDA_LOG_STREAM_NAME: 's',
      AWS_REGION: 'eu-west-1',
      POWERTOOLS_TRACE_DISABLED: '1',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  child.on('exit', (code) => {
    if (next < cases.length) console.error(`runtime ended with ${code}`);
    finish();
  });
});
