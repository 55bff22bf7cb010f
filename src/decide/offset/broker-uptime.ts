const UPTIME = /\[ (\d+) days, (\d+) hours, (\d+) minutes, (\d+) seconds \]/;

/** How long a broker runs, ms, in whole seconds, from its runtime info. undefined: it does not report it. */
export function uptimeMs(info: ReadonlyMap<string, string>): number | undefined {
  const [, days, hours, minutes, seconds] = UPTIME.exec(info.get('runtime') ?? '') ?? [];
  return seconds === undefined
    ? undefined
    : (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
}
