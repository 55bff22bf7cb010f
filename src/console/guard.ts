import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Why a request is not answered; undefined: it is. */
export type Refusal = { readonly status: 403 | 415 | 421; readonly reason: string } | undefined;

/** The header that pages of other sites cannot send without asking first, and are never allowed. */
export const TOKEN_HEADER = 'x-rocketmq-console';

/**
 * The console shows and moves messages, so a page of another site that is open in the same browser must neither read nor change anything: the name
 * that was asked for must be this machine's (DNS rebinding), a request from a page must come from our own, and what changes something must carry the
 * token, which only our own page knows.
 */
export function refuse(
  method: string | undefined,
  headers: IncomingHttpHeaders,
  port: number,
  token: string,
): Refusal {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`];
  if (!hosts.includes(headers.host ?? ''))
    return { status: 421, reason: `the console answers as 127.0.0.1:${port} only` };
  const { origin } = headers;
  if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`))
    return { status: 403, reason: 'pages of other sites are not answered' };
  if (
    headers['sec-fetch-site'] !== undefined &&
    !['same-origin', 'none'].includes(String(headers['sec-fetch-site']))
  )
    return { status: 403, reason: 'pages of other sites are not answered' };
  if (method === 'GET' || method === 'HEAD') return undefined;
  if (!isToken(headers[TOKEN_HEADER], token))
    return {
      status: 403,
      reason: `the header ${TOKEN_HEADER} is missing or of an earlier run: load the page again`,
    };
  if (!String(headers['content-type']).startsWith('application/json'))
    return { status: 415, reason: 'give application/json' };
  return undefined;
}

export function isToken(given: unknown, token: string): boolean {
  const [a, b] = [Buffer.from(String(given)), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}
