import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WHOLE_GROUP } from '../decide/state/operator-pause.ts';
import { peekDeadLetters } from '../dlq/dead-letters.ts';
import { redriveDeadLetters } from '../dlq/redrive.ts';
import { pauseQueues, resumeQueues } from '../flow/operator-pauses.ts';
import { eventSourceName } from '../model/metrics.ts';
import { findSource, type SourceConfig } from '../model/source.ts';
import type { GroupKey } from '../ports/assignment-store.ts';
import { changesBetween } from './changes.ts';
import { type Change, groupName, type LagPoint, type Snapshot } from './console-model.ts';
import { Counts } from './counts.ts';
import { letterView } from './dead-letter-view.ts';
import { isToken, refuse, TOKEN_HEADER } from './guard.ts';
import { type ConsoleSources, takeSnapshot } from './take-snapshot.ts';

const LOOK_MS = 1_000;
/** Ten minutes of lag, and the latest events: what somebody who opens the page later wants to see. */
const HISTORY = 600;
const CHANGES = 200;
const LETTERS = 50;
const MOST_BODY_BYTES = 1024 * 1024;
/** A pause that somebody forgets ends by itself. */
const LONGEST_PAUSE_S = 24 * 3600;

export interface ConsoleOptions extends ConsoleSources {
  /** 0 or absent: any free port. */
  readonly port?: number;
}

export interface LocalConsole {
  readonly url: string;
  /** Where functions of a local run send their metrics, a record of the embedded metric format each. */
  readonly metricsUrl: string;
  stop(): Promise<void>;
}

const PAGE_FILES: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/console.css': { file: 'console.css', type: 'text/css; charset=utf-8' },
  '/console.js': { file: 'console.js', type: 'text/javascript; charset=utf-8' },
};

/** Nothing from elsewhere, in no frame, kept nowhere: the page shows messages. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

/**
 * The web console of a local run, on loopback: queues and who holds them, lag over time, events of the rebalance, dead letters to look at and to
 * redrive, groups to pause. Pages of other sites get nothing (guard.ts). It looks once a second, whether somebody watches or not, so that lag has a past.
 */
export async function startConsole(options: ConsoleOptions): Promise<LocalConsole> {
  const token = randomBytes(24).toString('base64url');
  const counts = new Counts();
  const history: LagPoint[] = [];
  const changes: Change[] = [];
  const watchers = new Set<ServerResponse>();
  let latest: Snapshot | undefined;

  const look = async (): Promise<void> => {
    const { service, stage } = options.service;
    const snapshot = await takeSnapshot(options, ({ cluster, consumerGroup }) =>
      counts.of(eventSourceName(service, stage, cluster, consumerGroup)),
    );
    const news = changesBetween(latest, snapshot);
    latest = snapshot;
    changes.push(...news);
    changes.splice(0, Math.max(0, changes.length - CHANGES));
    const point = {
      at: snapshot.at,
      lag: Object.fromEntries(
        snapshot.groups.map((group) => [groupName(group), Number(group.lag)]),
      ),
    };
    history.push(point);
    history.splice(0, Math.max(0, history.length - HISTORY));
    for (const watcher of watchers) tell(watcher, { snapshot, changes: news, history: [point] });
  };
  const stopped = new AbortController();
  const looking = (async () => {
    while (!stopped.signal.aborted) {
      await look().catch(() => {});
      await options.clock.sleep(LOOK_MS, stopped.signal).catch(() => {});
    }
  })();

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (!response.headersSent)
        send(response, 500, { error: error instanceof Error ? error.message : String(error) });
      else response.destroy();
    });
  });
  const { port } = await listen(server, options.port ?? 0);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', `http://127.0.0.1:${port}`);
    // Functions have no page to load the token from: it stands in their address.
    if (
      request.method === 'POST' &&
      url.pathname.startsWith('/metrics/') &&
      isToken(url.pathname.slice('/metrics/'.length), token)
    ) {
      counts.add(await readBody(request));
      response.writeHead(204).end();
      return;
    }
    const refusal = refuse(request.method, request.headers, port, token);
    if (refusal !== undefined) return send(response, refusal.status, { error: refusal.reason });
    const page = PAGE_FILES[url.pathname];
    if (request.method === 'GET' && page !== undefined) return sendFile(response, page, token);
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /events':
        watch(request, response);
        return;
      case 'GET /api/dead-letters':
        return send(response, 200, await deadLetters(url.searchParams));
      case 'POST /api/redrive':
        return send(
          response,
          200,
          await redrive(JSON.parse(await readBody(request)) as RedriveRequest),
        );
      case 'POST /api/pause':
        return send(
          response,
          200,
          await pause(JSON.parse(await readBody(request)) as PauseRequest),
        );
      case 'POST /api/resume':
        return send(
          response,
          200,
          await resume(JSON.parse(await readBody(request)) as GroupRequest),
        );
      default:
        return send(response, 404, { error: `${request.method} ${url.pathname} is nothing here` });
    }
  }

  function watch(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' });
    watchers.add(response);
    request.on('close', () => watchers.delete(response));
    tell(response, { snapshot: latest ?? null, changes, history });
  }

  function sourceOf(cluster: string | null, consumerGroup: string | null) {
    const found = findSource(options.service, { cluster, consumerGroup });
    if (found === undefined)
      throw new Error(`the service has no group "${consumerGroup}" of cluster "${cluster}"`);
    return found;
  }

  async function deadLetters(query: URLSearchParams): Promise<object> {
    const source = sourceOf(query.get('cluster'), query.get('consumerGroup'));
    const letters = [];
    const peek = peekDeadLetters(options.clients(source.cluster), source.consumerGroup, {
      limit: LETTERS + 1,
    });
    for await (const letter of peek) letters.push(letterView(letter));
    return { letters: letters.slice(0, LETTERS), more: letters.length > LETTERS };
  }

  async function redrive({
    cluster,
    consumerGroup,
    brokerName,
    queueId = 0,
    offset,
  }: RedriveRequest): Promise<object> {
    const source = sourceOf(cluster, consumerGroup);
    const one =
      brokerName === undefined || offset === undefined
        ? {}
        : { ids: [`${brokerName}/${queueId}/${offset}`] };
    const report = await redriveDeadLetters(options.clients(source.cluster), source.consumerGroup, {
      ...one,
      topics: source.subscriptions.map(({ topic }) => topic),
      onFailure: 'skip',
    });
    return {
      redriven: report.redriven,
      skipped: report.skipped.map(({ offset: at, reason }) => ({ offset: String(at), reason })),
    };
  }

  async function pause({ cluster, consumerGroup, seconds }: PauseRequest): Promise<object> {
    const group = groupOf(sourceOf(cluster, consumerGroup));
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > LONGEST_PAUSE_S)
      throw new Error(`a pause takes 1 to ${LONGEST_PAUSE_S} seconds, not ${String(seconds)}`);
    const since = options.clock.now();
    const wish = { since, until: since + seconds * 1000, reason: 'from the web console' };
    return {
      until: wish.until,
      ...(await pauseQueues(options.store, { group, scope: WHOLE_GROUP }, wish)),
    };
  }

  async function resume({ cluster, consumerGroup }: GroupRequest): Promise<object> {
    return resumeQueues(
      options.store,
      { group: groupOf(sourceOf(cluster, consumerGroup)), scope: WHOLE_GROUP },
      options.clock.now(),
    );
  }

  return {
    url: `http://127.0.0.1:${port}/`,
    metricsUrl: `http://127.0.0.1:${port}/metrics/${token}`,
    async stop() {
      stopped.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await looking;
    },
  };
}

interface GroupRequest {
  readonly cluster: string;
  readonly consumerGroup: string;
}

interface PauseRequest extends GroupRequest {
  readonly seconds: number;
}

interface RedriveRequest extends GroupRequest {
  /** With `offset`: this one only; without: everything that was not redriven. */
  readonly brokerName?: string;
  /** Default 0. */
  readonly queueId?: number;
  readonly offset?: string;
}

function groupOf({ cluster, consumerGroup }: SourceConfig): GroupKey {
  return { cluster, consumerGroup };
}

function tell(watcher: ServerResponse, data: object): void {
  watcher.write(`data: ${JSON.stringify(data)}\n\n`);
}

async function sendFile(
  response: ServerResponse,
  { file, type }: { file: string; type: string },
  token: string,
): Promise<void> {
  const text = await readFile(new URL(`./page/${file}`, import.meta.url), 'utf8');
  response
    .writeHead(200, { ...HEADERS, 'content-type': type })
    .end(text.replace('{{token}}', token).replace('{{header}}', TOKEN_HEADER));
}

function send(response: ServerResponse, status: number, body: object): void {
  response
    .writeHead(status, { ...HEADERS, 'content-type': 'application/json' })
    .end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BODY_BYTES) throw new Error(`more than ${MOST_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A wanted port that somebody has is no reason to be without a console. */
async function listen(server: ReturnType<typeof createServer>, port: number): Promise<AddressInfo> {
  const tried = await new Promise<Error | undefined>((resolve) => {
    server.once('error', resolve).listen(port, '127.0.0.1', () => resolve(undefined));
  });
  if (tried !== undefined && port !== 0) return listen(server, 0);
  if (tried !== undefined) throw tried;
  return server.address() as AddressInfo;
}
