import { isUtf8 } from 'node:buffer';

/** How a body becomes text: as it is when it is valid UTF-8, else in base64. Node's names, and those of `rocketmq.bodyEncoding`. */
export function bodyEncoding(body: Buffer): 'utf8' | 'base64' {
  return isUtf8(body) ? 'utf8' : 'base64';
}
