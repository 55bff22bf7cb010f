import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { ONEWAY_FLAG, RESPONSE_FLAG, type RemotingCommand } from '../../src/remoting/command.ts';
import { encodeFrame } from '../../src/remoting/frame.ts';
import { FrameDecoder } from '../../src/remoting/frame-decoder.ts';

/** What a test's server makes of a command: code 0 and nothing else unless it says so. */
export interface Reply {
  readonly code?: number;
  readonly remark?: string;
  readonly extFields?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** The server's end of one connection. */
export interface Peer {
  readonly socket: Socket;
  /** Writes bytes as they are. */
  write(bytes: Buffer): void;
  answer(command: RemotingCommand, reply?: Reply): void;
  /** A request of the server's own. */
  request(command: {
    code: number;
    opaque: number;
    oneway?: boolean;
    extFields?: Readonly<Record<string, string>>;
  }): void;
}

export interface FrameServer {
  readonly address: string;
  readonly port: number;
  /** Every command that came, answers to the server's own requests too. */
  readonly received: readonly RemotingCommand[];
  /** Open connections, in the order of their arrival. */
  readonly peers: readonly Peer[];
  /** Connections ever made. */
  readonly connections: number;
  /** Bytes of each chunk as it came from the socket. */
  readonly chunks: readonly number[];
  stop(): Promise<void>;
}

/** The bytes of an answer. */
export function answerFrame(
  to: RemotingCommand,
  { code = 0, remark, extFields = {}, body = Buffer.alloc(0) }: Reply = {},
): Buffer {
  return encodeFrame({
    code,
    language: 'JAVA',
    version: 513,
    opaque: to.opaque,
    flag: RESPONSE_FLAG,
    remark,
    extFields,
    body,
  });
}

/** A real server cuts a connection whose bytes are no frames. */
function framesOrEnd(decoder: FrameDecoder, chunk: Buffer, socket: Socket): RemotingCommand[] {
  try {
    return decoder.push(chunk);
  } catch {
    socket.destroy();
    return [];
  }
}

/** A server on loopback that reads frames and leaves all else to the test. */
export async function startFrameServer(
  onCommand: (command: RemotingCommand, peer: Peer) => void,
  options: { tls?: TlsOptions; port?: number; host?: string } = {},
): Promise<FrameServer> {
  const received: RemotingCommand[] = [];
  const peers: Peer[] = [];
  const chunks: number[] = [];
  let connections = 0;

  function onSocket(socket: Socket): void {
    connections++;
    const decoder = new FrameDecoder();
    const peer: Peer = {
      socket,
      write: (bytes) => void socket.write(bytes),
      answer: (command, reply) => void socket.write(answerFrame(command, reply)),
      request: ({ code, opaque, oneway = false, extFields = {} }) => {
        const flag = oneway ? ONEWAY_FLAG : 0;
        socket.write(
          encodeFrame({
            code,
            opaque,
            flag,
            extFields,
            language: 'JAVA',
            version: 513,
            remark: undefined,
            body: Buffer.alloc(0),
          }),
        );
      },
    };
    peers.push(peer);
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      chunks.push(chunk.length);
      for (const command of framesOrEnd(decoder, chunk, socket)) {
        received.push(command);
        onCommand(command, peer);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => void peers.splice(peers.indexOf(peer), 1));
  }

  const { host = '127.0.0.1' } = options;
  const server: Server =
    options.tls === undefined ? createServer(onSocket) : createTlsServer(options.tls, onSocket);
  // A refused handshake is the client's to report.
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(options.port ?? 0, host, resolve),
  );
  const { port } = server.address() as AddressInfo;
  return {
    address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
    port,
    received,
    peers,
    chunks,
    get connections() {
      return connections;
    },
    async stop() {
      for (const { socket } of [...peers]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
