import type { ServiceOptions } from '../../src/config/service-options.ts';
import type { CloudFormationResource, Naming, Provider } from '../serverless-api.ts';
import { COORDINATOR } from './names.ts';
import { arnOf, schedulerRole } from './role.ts';

/** Of this schedule alone: whoever may make schedules in another group cannot use the role of this one. */
const GROUP = 'RocketmqScheduleGroup';

/**
 * Starts the coordinator every minute. A resource of its own and no `schedule` event: Serverless would let the scheduler assume the
 * user's shared role too, and serverless-offline would start coordinators beside the one that the plugin keeps running.
 */
export function scheduleResources(
  naming: Naming,
  provider: Provider,
  tags: ServiceOptions['tags'],
): Record<string, CloudFormationResource> {
  const coordinator = naming.getLambdaLogicalId(COORDINATOR);
  return {
    [GROUP]: {
      Type: 'AWS::Scheduler::ScheduleGroup',
      ...(Object.keys(tags).length === 0
        ? {}
        : { Properties: { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) } }),
    },
    RocketmqSchedulerRole: schedulerRole(coordinator, GROUP, provider),
    RocketmqSchedule: {
      Type: 'AWS::Scheduler::Schedule',
      Properties: {
        Description: 'serverless-rocketmq: runs the coordinator',
        GroupName: { Ref: GROUP },
        ScheduleExpression: 'rate(1 minute)',
        FlexibleTimeWindow: { Mode: 'OFF' },
        State: 'ENABLED',
        Target: {
          Arn: arnOf(coordinator),
          RoleArn: arnOf('RocketmqSchedulerRole'),
          RetryPolicy: { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 },
        },
      },
    },
  };
}
