import type { ServiceConfig, SourceConfig } from '../../model/source.ts';
import { sourceDigest } from './source-digest.ts';
import type { DispatchRules } from './which-to-invoke.ts';

/** The rate of the schedule. */
const SCHEDULE_MS = 60_000;

/** How often the coordinator of the service looks; undefined: it watches. */
export function lookEveryMs({
  coordinatorMode,
}: Pick<ServiceConfig, 'coordinatorMode'>): number | undefined {
  return coordinatorMode === 'schedule' ? SCHEDULE_MS : undefined;
}

/** @param lookEveryMs how often a coordinator looks that does not watch; undefined: it watches */
export function rulesOf(source: SourceConfig, lookEveryMs: number | undefined): DispatchRules {
  const { scaling, idleTimeout } = source;
  return {
    settings: sourceDigest(source),
    ...(lookEveryMs === undefined ? {} : { lookEveryMs }),
    ...(idleTimeout === 'never' ? { always: true } : {}),
    ...(scaling === undefined
      ? {}
      : {
          activation: {
            lagThreshold: BigInt(scaling.activationLagThreshold),
            maxMessageAgeMs: scaling.maxMessageAgeSeconds * 1000,
          },
        }),
  };
}
