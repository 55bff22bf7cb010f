import type { Credentials } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import type { RequestDefinition } from '../requests/define-request.ts';
import { signRequest } from './acl-signature.ts';
import { isPermissionRefusal } from './broker-error.ts';
import { NotConnectedError } from './connection.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { within } from './within.ts';

export interface ExchangeOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** See OutgoingRequest. */
  readonly reserve?: ((bytes: number) => boolean) | undefined;
}

/** Sends one request to one address and gives back the answer, whatever its code. */
export type Exchange = <Request, Answer>(
  address: string,
  definition: RequestDefinition<Request, Answer>,
  request: Request,
  options: ExchangeOptions,
) => Promise<RemotingCommand>;

/** Credentials that may have come after those that were refused: the same, newer ones, or undefined when there are none to be had. */
export type RenewCredentials = () => Promise<Credentials | undefined>;

/**
 * The way over the pool: connect when needed, sign, send. The time covers all of it, and when it is up nothing is sent any more: a commit that
 * waited for a connection must not reach the broker after its lease.
 */
export function exchangeOver(
  pool: ConnectionPool,
  given: Credentials | undefined,
  clock: Pick<Clock, 'now'>,
  renew: RenewCredentials = () => Promise.resolve(undefined),
): Exchange {
  let current = given;
  const send: Exchange = async (address, definition, request, options) => {
    const { timeoutMs, signal, reserve } = options;
    const deadline = clock.now() + timeoutMs;
    const { extFields, body } = definition.encode(request);
    const connection = await pool.get(address, { timeoutMs, signal });
    const left = deadline - clock.now();
    if (left <= 0)
      throw new NotConnectedError(address, `cannot connect to ${address} within ${timeoutMs} ms`);
    const signed = current === undefined ? extFields : signRequest(extFields, body, current);
    const { code } = definition;
    return connection.request({ code, extFields: signed, body, reserve }, left, signal);
  };
  return async (address, definition, request, options) => {
    const deadline = clock.now() + options.timeoutMs;
    const used = current;
    const answer = await send(address, definition, request, options);
    if (!isPermissionRefusal(answer)) return answer;
    const timeoutMs = deadline - clock.now();
    if (timeoutMs <= 0) return answer;
    const limits = {
      timeoutMs,
      signal: options.signal,
      timeoutError: () => new Error('no newer credentials in time'),
    };
    const renewed =
      current === used ? await within(renew(), limits).catch(() => undefined) : current;
    options.signal?.throwIfAborted();
    if (renewed === undefined || sameCredentials(renewed, used)) return answer;
    current = renewed;
    // What was refused was not carried out, so it may be sent again.
    const left = deadline - clock.now();
    return left <= 0
      ? answer
      : await send(address, definition, request, { ...options, timeoutMs: left });
  };
}

function sameCredentials(a: Credentials, b: Credentials | undefined): boolean {
  return (
    a.accessKey === b?.accessKey &&
    a.secretKey === b.secretKey &&
    a.securityToken === b.securityToken
  );
}
