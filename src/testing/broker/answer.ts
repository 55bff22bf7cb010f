import { ResponseCode } from '../../remoting/response-code.ts';
import type { Wire } from '../../requests/define-request.ts';

/** What a handler answers; opaque, flag and version are the server's business. */
export interface Answer {
  readonly code: number;
  readonly remark?: string;
  readonly extFields?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

const FAQ = '\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.';

/** SUCCESS with what the request's definition wrote. */
export function ok(wire: Wire = { extFields: {} }): Answer {
  return { code: ResponseCode.SUCCESS, ...wire };
}

/** SUCCESS with a JSON body. */
export function okBody(json: string): Answer {
  return ok({ extFields: {}, body: Buffer.from(json) });
}

export function refuse(code: number, remark: string): Answer {
  return { code, remark };
}

/** A refusal that ends with the real broker's pointer to its FAQ. */
export function refuseWithFaq(code: number, remark: string): Answer {
  return { code, remark: remark + FAQ };
}
