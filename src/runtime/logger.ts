import { destination, type LogFn, type Logger as Pino, pino, stdSerializers } from 'pino';
import { printableText } from '../model/printable-text.ts';
import type { Logger } from '../ports/logger.ts';
import { boundedFields, boundedText } from './bounded-fields.ts';

/**
 * JSON lines on stdout. Written synchronously: a Lambda environment is frozen or killed without asking whether a buffer is empty.
 * The level: ROCKETMQ_LOG_LEVEL, else the function's own AWS_LAMBDA_LOG_LEVEL, else info.
 */
export function createLogger(fields: object, env: NodeJS.ProcessEnv = process.env): Logger {
  const level = (env.ROCKETMQ_LOG_LEVEL ?? env.AWS_LAMBDA_LOG_LEVEL ?? 'info').toLowerCase();
  const logger: Pino = pino(
    {
      level: level in LEVELS ? LEVELS[level as keyof typeof LEVELS] : 'info',
      base: boundedFields(fields),
      serializers: { err: shortError },
      formatters: { log: boundedFields },
      hooks: { logMethod: boundMessage },
    },
    escaping(destination({ dest: 1, sync: true })),
  );
  return bounded(logger);
}

/** pino has no hook for the fields of children. */
function bounded(logger: Pino): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => bounded(logger.child(boundedFields(fields))),
  };
}

/** Messages may be those of errors, whose texts brokers choose. */
function boundMessage(this: Pino, args: Parameters<LogFn>, method: LogFn): void {
  const bounded = args.map((one) =>
    typeof one === 'string' ? boundedText(one, MAX_MESSAGE) : one,
  );
  method.apply(this, bounded as Parameters<LogFn>);
}

/** Texts of producers and brokers in any field: JSON escapes no C1 controls, direction marks and line separators, which terminals and viewers obey. */
function escaping(out: { write(line: string): unknown }): { write(line: string): void } {
  return { write: (line) => void out.write(printableText(line)) };
}

/** pino's names, and how others call them. */
const LEVELS = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  fatal: 'fatal',
  silent: 'silent',
} as const;

/** Brokers, Lambda and producers choose what stands in an error's text. */
const MAX_MESSAGE = 2_000;
const MAX_STACK = 8_000;

function shortError(error: Error): object {
  const written: unknown = stdSerializers.err(error);
  if (typeof written !== 'object' || written === null) return error;
  const { message = '', stack = '', ...others } = written as Partial<Error>;
  const short = message.slice(0, MAX_MESSAGE);
  return {
    ...boundedFields(others),
    message: short,
    stack: stack.replace(message, () => short).slice(0, MAX_STACK),
  };
}
