import type { ServiceConfig } from '../../src/model/source.ts';
import { usage } from '../../src/operator/operator-error.ts';
import type { Values } from './command.ts';

/** A service of one group, for brokers without a serverless.yml at hand: what --group and --topic name, with every other option at its default. */
export function adHocService(values: Values, nameServers: string | undefined): ServiceConfig {
  const { group, topic, stage, service } = values;
  if (nameServers === undefined)
    usage('--local needs --name-servers, for example 127.0.0.1:9876 (or --service-file)');
  const handler = {
    invocation: 'function',
    functionKey: 'unknown',
    functionName: 'unknown',
    timeout: 6,
  } as const;
  return {
    service: typeof service === 'string' ? service : 'unknown',
    stage: typeof stage === 'string' ? stage : 'dev',
    clusters: {
      default: {
        nameServers: (nameServers as string).split(/[;,]/).filter((address) => address !== ''),
      },
    },
    // Only its rights at the brokers bound it: nothing else says what is the service's.
    operator: { topics: 'any' },
    sources:
      typeof group !== 'string'
        ? []
        : [
            {
              ...{
                cluster: 'default',
                consumerGroup: group,
                strategy: { name: 'AVG' },
                pullers: 'queue',
              },
              subscriptions:
                typeof topic !== 'string'
                  ? []
                  : [
                      {
                        ...{
                          topic,
                          handler,
                          filter: { type: 'TAG', expression: '*' },
                          batchSize: 100,
                          parallelizationFactor: 1,
                        },
                        ...{
                          startingPosition: 'TRIM_HORIZON',
                          maximumRetryAttempts: 16,
                          enabled: true,
                        },
                      },
                    ],
            },
          ],
  };
}
