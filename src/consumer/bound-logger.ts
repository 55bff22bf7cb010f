import type { Logger } from '../ports/logger.ts';

type Levels = Omit<Logger, 'child'>;

const SILENT: Levels = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A program's logger, which may have no `child`, with fields for every line. Absent: nothing is logged. */
export function boundLogger(to: Levels = SILENT, fields: object = {}): Logger {
  return {
    debug: (own, message) => to.debug({ ...fields, ...own }, message),
    info: (own, message) => to.info({ ...fields, ...own }, message),
    warn: (own, message) => to.warn({ ...fields, ...own }, message),
    error: (own, message) => to.error({ ...fields, ...own }, message),
    child: (more) => boundLogger(to, { ...fields, ...more }),
  };
}
