import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { RemotingCommand } from '../remoting/command.ts';
import { isOneway, isResponse, ONEWAY_FLAG, RESPONSE_FLAG } from '../remoting/command.ts';
import { encodeFrame } from '../remoting/frame.ts';
import { FrameDecoder } from '../remoting/frame-decoder.ts';
import type { Answer } from './broker/answer.ts';

/** What RocketMQ 5.5.0 says of itself. */
const LANGUAGE = 'JAVA';
const VERSION_5_5_0 = 513;
/** A connection without traffic is closed after so long. */
const MAX_IDLE_MS = 120_000;

/** One accepted connection. */
export interface ServerConnection {
  readonly remoteAddress: string;
  readonly remoteHost: { readonly address: string; readonly port: number };
  /** Answers a request; nothing for a one-way one. */
  answer(request: RemotingCommand, answer: Answer): void;
  /** A request of the server's own, one-way. */
  push(code: number, extFields: Readonly<Record<string, string>>): void;
  close(): void;
}

export interface TcpServer {
  readonly port: number;
  /** Cuts every connection. */
  close(): Promise<void>;
}

interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly onRequest: (request: RemotingCommand, connection: ServerConnection) => void;
  readonly onClose: (connection: ServerConnection) => void;
}

const EMPTY = Buffer.alloc(0);

function connectionOf(socket: Socket, nextOpaque: () => number): ServerConnection {
  const remoteHost = {
    address: (socket.remoteAddress ?? '0.0.0.0').replace(/^::ffff:/, ''),
    port: socket.remotePort ?? 0,
  };
  const send = (command: RemotingCommand) => {
    if (!socket.destroyed) socket.write(encodeFrame(command));
  };
  return {
    remoteAddress: `${remoteHost.address}:${remoteHost.port}`,
    remoteHost,
    answer(request, { code, remark, extFields = {}, body = EMPTY }) {
      if (isOneway(request)) return;
      send({
        code,
        language: LANGUAGE,
        version: VERSION_5_5_0,
        opaque: request.opaque,
        flag: RESPONSE_FLAG,
        remark,
        extFields,
        body,
      });
    },
    push(code, extFields) {
      const opaque = nextOpaque();
      send({
        code,
        language: LANGUAGE,
        version: VERSION_5_5_0,
        opaque,
        flag: ONEWAY_FLAG,
        remark: undefined,
        extFields,
        body: EMPTY,
      });
    },
    close: () => void socket.destroy(),
  };
}

/** Accepts connections that speak frames. Bytes that are no frame close the connection without an answer, as the real servers do. */
export async function listen({
  host,
  port,
  onRequest,
  onClose,
}: ListenOptions): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  let opaque = 0;

  const server = createServer({ noDelay: true }, (socket) => {
    const decoder = new FrameDecoder();
    const connection = connectionOf(socket, () => opaque++);
    sockets.add(socket);
    socket.setTimeout(MAX_IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      onClose(connection);
    });
    socket.on('data', (chunk) => {
      let commands: RemotingCommand[];
      try {
        commands = decoder.push(chunk);
      } catch {
        socket.destroy();
        return;
      }
      // One write for all that this chunk is answered with.
      socket.cork();
      for (const command of commands) if (!isResponse(command)) onRequest(command, connection);
      socket.uncork();
      if (decoder.failure !== undefined) socket.destroy();
    });
  });

  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
