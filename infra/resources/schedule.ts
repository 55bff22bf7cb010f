import type { CloudFormationResource, Naming, Provider } from '../serverless-api.ts';
import { COORDINATOR } from './names.ts';
import { arnOf, schedulerRole } from './role.ts';

/**
 * Starts the coordinator every minute. A resource of its own and no `schedule` event: Serverless would let the scheduler assume the
 * user's shared role too, and serverless-offline would start coordinators beside the one that the plugin keeps running.
 */
export function scheduleResources(
  naming: Naming,
  provider: Provider,
): Record<string, CloudFormationResource> {
  const coordinator = naming.getLambdaLogicalId(COORDINATOR);
  return {
    RocketmqSchedulerRole: schedulerRole(coordinator, provider),
    RocketmqSchedule: {
      Type: 'AWS::Scheduler::Schedule',
      Properties: {
        Description: 'serverless-rocketmq: runs the coordinator',
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
