import type { HostAndPort } from '../model/message.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import { requestName } from '../remoting/request-code.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { Answer } from './broker/answer.ts';
import type { Broker, BrokerSettings } from './broker/broker.ts';
import { createBroker } from './broker/broker.ts';
import type { ControlDecision, Controls } from './controls.ts';
import type { RegisteredBroker } from './name-server.ts';
import type { ServerConnection, TcpServer } from './tcp-server.ts';
import { listen } from './tcp-server.ts';

type Serve = (
  command: RemotingCommand,
  connection: ServerConnection,
  answer: (answer: Answer) => void,
) => void;

/** Lets a control, when there is one for the request, decide before the server does. */
export function controlled(
  controls: Controls,
  server: string,
  serve: Serve,
): (command: RemotingCommand, connection: ServerConnection) => void {
  return (command, connection) => {
    const name = requestName(command.code);
    const answer = (given: Answer) => connection.answer(command, given);
    const control = controls.take(name, command.code, server);
    if (control === undefined) {
      serve(command, connection, answer);
      return;
    }

    const carryOut = (decision: ControlDecision) => {
      if (decision === 'drop') return;
      if (decision === 'disconnect') connection.close();
      else if (decision === 'lose-answer') serve(command, connection, () => {});
      else if (typeof decision === 'object') answer(decision);
      else serve(command, connection, answer);
    };
    const fail = (error: unknown) =>
      answer({
        code: ResponseCode.SYSTEM_ERROR,
        remark: `the control of ${name} threw: ${String(error)}`,
      });
    try {
      const decision = control({
        name,
        code: command.code,
        server,
        remoteAddress: connection.remoteAddress,
        command,
      });
      if (decision instanceof Promise) decision.then(carryOut).catch(fail);
      else carryOut(decision);
    } catch (error) {
      fail(error);
    }
  };
}

/** A broker with its socket, which can be taken away and given back; the data stays. */
export interface RunningBroker extends RegisteredBroker {
  readonly broker: Broker;
  readonly running: boolean;
  /** Listens on the same port as before. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

interface RunOptions extends Omit<BrokerSettings, 'storeHost'> {
  readonly host: string;
  /** 0: any free port, kept over restarts. */
  readonly port: number;
}

export function createRunningBroker(
  controls: Controls,
  { host, port, ...settings }: RunOptions,
): RunningBroker {
  const address: { address: string; port: number } = { address: host, port };
  const storeHost = (): HostAndPort => address;
  const broker = createBroker({ ...settings, storeHost });
  let server: TcpServer | undefined;

  return {
    cluster: settings.cluster,
    brokerName: settings.brokerName,
    topic: (name) => broker.state.topics.get(name),
    topics: () => broker.state.topics.all(),
    broker,
    get address() {
      return `${address.address}:${address.port}`;
    },
    get running() {
      return server !== undefined;
    },
    async start() {
      if (server !== undefined) return;
      server = await listen({
        host,
        port: address.port,
        onRequest: controlled(controls, settings.brokerName, broker.handle),
        onClose: broker.connectionClosed,
      });
      address.port = server.port;
      broker.start();
    },
    async stop() {
      const closing = server;
      server = undefined;
      broker.stop();
      await closing?.close();
    },
  };
}
