import { ProtocolError } from '../errors.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import { requestName } from '../remoting/request-code.ts';

/** The parts of a command that a request or its answer decides; opaque, flag and version are the connection's. */
export interface Wire {
  readonly extFields: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/**
 * One wire operation, both directions: what a client writes and a server reads, and the answer back.
 * `decodeAnswer` gets only answers whose code means success for the request; every other code is the caller's to turn into an error.
 */
export interface RequestDefinition<Request, Answer> {
  readonly code: number;
  readonly name: string;
  encode(request: Request): Wire;
  /** Broker side. @throws ProtocolError for a missing or malformed field */
  decode(command: RemotingCommand): Request;
  encodeAnswer(answer: Answer): Wire;
  /** @throws ProtocolError */
  decodeAnswer(command: RemotingCommand): Answer;
}

export function defineRequest<Request, Answer>(
  code: number,
  definition: Omit<RequestDefinition<Request, Answer>, 'code' | 'name'>,
): RequestDefinition<Request, Answer> {
  return { code, name: requestName(code), ...definition };
}

type FieldValue = string | number | bigint | boolean | undefined;

/** Ext fields are strings, whatever they mean; absent ones are left out, as Java leaves out null. */
export function extFields(values: Readonly<Record<string, FieldValue>>): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(values))
    if (value !== undefined) fields[name] = String(value);
  return fields;
}

/** As Java's parsers take it; 20 characters hold every 64-bit number. */
const WHOLE_NUMBER = /^-?\d{1,19}$/;

/** Reads ext fields by type; errors name the command and the field. */
export class FieldReader {
  readonly #command: RemotingCommand;
  readonly #what: string;

  constructor(command: RemotingCommand, what: string) {
    this.#command = command;
    this.#what = what;
  }

  optionalString(name: string): string | undefined {
    return this.#command.extFields[name];
  }

  string(name: string): string {
    return this.#command.extFields[name] ?? this.#missing(name);
  }

  optionalInt(name: string): number | undefined {
    const text = this.#command.extFields[name];
    if (text === undefined) return undefined;
    const value = WHOLE_NUMBER.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value))
      throw new ProtocolError(`${this.#what}: ${name} "${text}" is no whole number`);
    return value;
  }

  int(name: string): number {
    return this.optionalInt(name) ?? this.#missing(name);
  }

  optionalLong(name: string): bigint | undefined {
    const text = this.#command.extFields[name];
    if (text === undefined) return undefined;
    const value = WHOLE_NUMBER.test(text) ? BigInt(text) : undefined;
    if (value === undefined || BigInt.asIntN(64, value) !== value)
      throw new ProtocolError(`${this.#what}: ${name} "${text}" is no 64-bit number`);
    return value;
  }

  long(name: string): bigint {
    return this.optionalLong(name) ?? this.#missing(name);
  }

  optionalBool(name: string): boolean | undefined {
    const text = this.#command.extFields[name];
    return text === undefined ? undefined : text === 'true';
  }

  #missing(name: string): never {
    throw new ProtocolError(`${this.#what} has no field ${name}`);
  }
}

/** The answer of requests that say no more than yes. */
export const NOTHING = {
  encodeAnswer: (): Wire => ({ extFields: {} }),
  decodeAnswer: (): void => {},
};
