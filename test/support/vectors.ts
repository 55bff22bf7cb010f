import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One file of test/vectors, parsed. Its shape is written in its `about`. */
export function readVectors<T>(name: string): T {
  return JSON.parse(
    readFileSync(fileURLToPath(new URL(`../vectors/${name}.json`, import.meta.url)), 'utf8'),
  ) as T;
}

export interface FrameVector {
  readonly frame: string;
  readonly serializeType: 'JSON' | 'ROCKETMQ';
  readonly decoded: {
    readonly code: number;
    readonly language: string;
    readonly version: number;
    readonly opaque: number;
    readonly flag: number;
    readonly remark: string | null;
    readonly extFields: Record<string, string> | null;
    readonly body: string | null;
  };
}

export interface MessageVector {
  readonly stored: string;
  readonly compression: 'ZLIB' | 'LZ4' | 'ZSTD' | null;
  readonly decoded: {
    readonly topic: string;
    readonly queueId: number;
    readonly flag: number;
    readonly queueOffset: string;
    readonly commitLogOffset: string;
    readonly sysFlag: number;
    readonly bornTimestamp: number;
    readonly bornHost: string;
    readonly storeTimestamp: number;
    readonly storeHost: string;
    readonly reconsumeTimes: number;
    readonly preparedTransactionOffset: string;
    readonly bodyCRC: number;
    readonly storeSize: number;
    readonly offsetMsgId: string;
    readonly msgId: string;
    readonly properties: Record<string, string>;
    readonly body: string | null;
  };
}

export function frameVectors(): FrameVector[] {
  return readVectors<{ cases: FrameVector[] }>('frames').cases;
}

export function messageVectors(): MessageVector[] {
  return readVectors<{ cases: MessageVector[] }>('messages').cases;
}
