import type { RawConnection } from './raw-connection.ts';

/** Sends a message whose flags announce a compression that no version defines. */
export async function sendUndecodable(
  connection: RawConnection,
  topic: string,
  queueId = 0,
  properties = '',
): Promise<void> {
  const fields = { a: 'p', b: topic, c: 'TBW102', d: 4, e: queueId, f: 0x701, g: Date.now() };
  await connection.call(
    310,
    { ...fields, h: 0, i: properties, j: 0, k: false, m: false },
    { body: 'not what it says' },
  );
}
