import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Secrets Manager and SSM Parameter Store, as far as their JSON protocol is spoken here. */
export interface SecretStore {
  /** By secret ARN or parameter name; an answer's text, or the type of the error that is answered instead. */
  readonly values: Map<string, string | { readonly error: string }>;
  /** What was asked for, in order. */
  readonly asked: string[];
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

/** Listens on a free port, and tells the SDK of this process to go there. */
export async function startSecretStore(): Promise<SecretStore> {
  const values: SecretStore['values'] = new Map();
  const asked: string[] = [];
  const refused = (type: string): Answer => ({
    status: 400,
    body: { __type: type, message: `${type} of the test` },
  });

  const answer = (
    target: string,
    input: { SecretId?: string; Names?: string[]; WithDecryption?: boolean },
  ): Answer => {
    const names = input.Names ?? [input.SecretId ?? ''];
    asked.push(...names);
    const found = names.flatMap((name) =>
      values.has(name) ? [{ name, value: values.get(name)! }] : [],
    );
    for (const { value } of found) if (typeof value === 'object') return refused(value.error);
    if (target === 'secretsmanager.GetSecretValue')
      return found.length === 0
        ? refused('ResourceNotFoundException')
        : { status: 200, body: { ARN: names[0], SecretString: found[0]?.value } };
    if (target !== 'AmazonSSM.GetParameters' || input.WithDecryption !== true)
      return refused('InvalidAction');
    return {
      status: 200,
      body: {
        Parameters: found.map(({ name, value }) => ({
          Name: name.replace(/^arn:.*:parameter/, ''),
          Type: 'SecureString',
          Value: value,
        })),
        InvalidParameters: names.filter((name) => !values.has(name)),
      },
    };
  };

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { status, body } = answer(
      String(request.headers['x-amz-target']),
      JSON.parse(Buffer.concat(chunks).toString()) as object,
    );
    response
      .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
      .end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint,
    AWS_ENDPOINT_URL_SSM: endpoint,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  });
  return {
    values,
    asked,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
