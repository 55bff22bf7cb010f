import { once } from 'node:events';
import net from 'node:net';

/** A decoded frame, as plain as it came: ext values are strings. */
export interface RawFrame {
  readonly code: number;
  readonly flag: number;
  readonly opaque: number;
  readonly language: string;
  readonly version: number;
  readonly remark?: string;
  /** Empty when there are none: the real broker sometimes leaves them out and sometimes sends {}. */
  readonly extFields: Record<string, string>;
  readonly body: Buffer;
}

type Ext = Record<string, string | number | bigint | boolean | undefined>;

interface CallSettings {
  readonly body?: string | Buffer | object;
  /** Version number in the header; 475 by default. */
  readonly version?: number;
  readonly timeoutMs?: number;
}

/**
 * A connection that speaks frames and nothing else: no retries, no route, no heartbeat. It has its own few lines of framing on purpose, so that
 * a mistake in the product's codec cannot agree with itself.
 */
export interface RawConnection {
  call(code: number, ext?: Ext, settings?: CallSettings): Promise<RawFrame>;
  /** Sends with the one-way flag; nothing comes back. */
  oneway(code: number, ext?: Ext, settings?: CallSettings): number;
  write(bytes: Buffer): void;
  /** Requests that the server sent by itself. */
  readonly pushes: readonly RawFrame[];
  /** Opaque values of every answer seen. */
  readonly answered: ReadonlySet<number>;
  readonly closed: boolean;
  /** As the broker sees this side: `127.0.0.1:54321`. */
  readonly localAddress: string;
  close(): void;
}

function frame(header: object, body: Buffer): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const lengths = Buffer.alloc(8);
  lengths.writeInt32BE(4 + text.length + body.length, 0);
  lengths.writeInt32BE(text.length, 4);
  return Buffer.concat([lengths, text, body]);
}

function bytesOf(body: CallSettings['body']): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function* framesOf(state: { rest: Buffer }): Generator<RawFrame> {
  while (state.rest.length >= 4 && state.rest.length >= state.rest.readInt32BE(0) + 4) {
    const end = state.rest.readInt32BE(0) + 4;
    // A header in binary is not read here: what was asked counts as not answered.
    if (state.rest[4] !== 0) return;
    const headerEnd = 8 + state.rest.readUIntBE(5, 3);
    const header = JSON.parse(state.rest.toString('utf8', 8, headerEnd)) as Omit<RawFrame, 'body'>;
    yield {
      ...header,
      extFields: header.extFields ?? {},
      body: state.rest.subarray(headerEnd, end),
    };
    state.rest = state.rest.subarray(end);
  }
}

export async function connectRaw(address: string): Promise<RawConnection> {
  const [host, port] = address.split(':');
  const socket = net.connect({ host: host ?? '', port: Number(port), noDelay: true });
  await once(socket, 'connect');
  const localAddress = `${socket.localAddress}:${socket.localPort}`;

  const pushes: RawFrame[] = [];
  const answered = new Set<number>();
  const waiting = new Map<
    number,
    { resolve: (frame: RawFrame) => void; reject: (error: Error) => void }
  >();
  const state = { rest: Buffer.alloc(0) };
  let closed = false;
  let opaque = 0;

  socket.on('data', (chunk) => {
    state.rest = Buffer.concat([state.rest, chunk]);
    for (const received of framesOf(state)) {
      if ((received.flag & 1) === 0) pushes.push(received);
      else {
        answered.add(received.opaque);
        waiting.get(received.opaque)?.resolve(received);
      }
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
    for (const { reject } of waiting.values())
      reject(new Error(`${address} closed the connection`));
  });

  function send(code: number, ext: Ext, settings: CallSettings, flag: number): number {
    const extFields = Object.fromEntries(
      Object.entries(ext).flatMap(([key, value]) =>
        value === undefined ? [] : [[key, String(value)]],
      ),
    );
    const header = {
      code,
      language: 'OTHER',
      version: settings.version ?? 475,
      opaque: ++opaque,
      flag,
      extFields,
    };
    socket.write(frame({ ...header, serializeTypeCurrentRPC: 'JSON' }, bytesOf(settings.body)));
    return opaque;
  }

  return {
    async call(code, ext = {}, settings = {}) {
      const id = send(code, ext, settings, 0);
      const { promise, resolve, reject } = Promise.withResolvers<RawFrame>();
      const timer = setTimeout(
        () => reject(new Error(`request ${code} was not answered`)),
        settings.timeoutMs ?? 10_000,
      );
      waiting.set(id, { resolve, reject });
      return promise.finally(() => {
        clearTimeout(timer);
        waiting.delete(id);
      });
    },
    oneway: (code, ext = {}, settings = {}) => send(code, ext, settings, 2),
    write: (bytes) => void socket.write(bytes),
    pushes,
    answered,
    get closed() {
      return closed;
    },
    localAddress,
    close: () => void socket.destroy(),
  };
}
