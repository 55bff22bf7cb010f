import type { HandlerConfig } from '../../src/model/source.ts';

/** A handler under the name h. @param timeout seconds */
export function handlerConfig(
  invocation: HandlerConfig['invocation'],
  timeout: number,
): HandlerConfig {
  return { invocation, functionKey: 'h', functionName: 'h', timeout };
}
