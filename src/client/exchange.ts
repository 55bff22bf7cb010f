import type { Credentials } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import type { RequestDefinition } from '../requests/define-request.ts';
import { signRequest } from './acl-signature.ts';
import { NotConnectedError } from './connection.ts';
import type { ConnectionPool } from './connection-pool.ts';

export interface ExchangeOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Sends one request to one address and gives back the answer, whatever its code. */
export type Exchange = <Request, Answer>(
  address: string,
  definition: RequestDefinition<Request, Answer>,
  request: Request,
  options: ExchangeOptions,
) => Promise<RemotingCommand>;

/**
 * The way over the pool: connect when needed, sign, send. The time covers all of it, and when it is up nothing is sent any more: a commit that
 * waited for a connection must not reach the broker after its lease.
 */
export function exchangeOver(pool: ConnectionPool, credentials: Credentials | undefined, clock: Pick<Clock, 'now'>): Exchange {
  return async (address, definition, request, { timeoutMs, signal }) => {
    const deadline = clock.now() + timeoutMs;
    const { extFields, body } = definition.encode(request);
    const connection = await pool.get(address, { timeoutMs, signal });
    const left = deadline - clock.now();
    if (left <= 0) throw new NotConnectedError(address, `cannot connect to ${address} within ${timeoutMs} ms`);
    const signed = credentials === undefined ? extFields : signRequest(extFields, body, credentials);
    return connection.request({ code: definition.code, extFields: signed, body }, left, signal);
  };
}
