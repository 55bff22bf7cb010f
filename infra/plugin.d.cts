/** The Serverless plugin: `plugins: [serverless-rocketmq/plugin]` in serverless.yml. Serverless makes and drives it. */
declare class RocketMQPlugin {
  constructor(serverless: unknown, options: unknown, utils: { log: unknown });
  readonly hooks: Readonly<Record<string, () => unknown>>;
}
export = RocketMQPlugin;
