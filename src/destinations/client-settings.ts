/** A repeated delivery is a duplicate at worst; a message waits for its end meanwhile, so nobody waits for long. */
export const CLIENT_SETTINGS = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
} as const;
