/** Services as users write them, each with one thing that the others do not have. */
export const FIXTURES: Readonly<Record<string, string>> = {
  minimal: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] } } } }
functions:
  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: order-worker, topic: orders } }] }
`,
  inline: `
provider:
  name: aws
  runtime: nodejs24.x
  region: eu-west-1
  iam: { role: { statements: [{ Effect: Allow, Action: "s3:GetObject", Resource: "arn:aws:s3:::receipts/*" }] } }
custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] } }, puller: { timeout: 300, memorySize: 1024 } } }
functions:
  orders:
    handler: handler.handler
    environment: { BUCKET: receipts }
    events: [{ rocketmq: { consumerGroup: order-worker, topic: orders, invocation: inline } }]
  refunds:
    handler: handler.handler
    events: [{ rocketmq: { consumerGroup: order-worker, topic: refunds, filter: "card || cash", batchSize: 10 } }]
`,
  vpc: `
provider:
  name: aws
  runtime: nodejs22.x
  region: eu-west-1
  tracing: { lambda: true }
  vpc: { securityGroupIds: [sg-0123456789abcdef0], subnetIds: [subnet-0123456789abcdef0, subnet-0123456789abcdef1] }
custom: { rocketmq: { clusters: { default: { nameServers: ["10.0.1.5:9876", "10.0.2.5:9876"], addressMap: { "10.42.0.7:10911": "10.0.1.6:31911" } } } } }
functions:
  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: order-worker, topic: orders } }] }
`,
  secrets: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom:
  rocketmq:
    clusters:
      default:
        nameServers: ["ns1.internal:9876"]
        credentials: { secretArn: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rocketmq-AbCdEf", kmsKeyArn: "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
        tls: { ssmParameter: /shop/rocketmq-tls }
functions:
  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: order-worker, topic: orders } }] }
`,
  operated: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom:
  rocketmq:
    clusters: { default: { nameServers: ["ns1.internal:9876"] } }
    alarms: { topic: { Ref: Pager }, oldestMessageAgeSeconds: 60, lag: 10000 }
    dashboard: true
    metrics: [EventCount, ErrorCount, LagMetrics, QueueMetrics]
    logging: { level: debug, retentionInDays: 7 }
    tags: { team: payments }
    puller: { reservedConcurrency: 40 }
    table: { pointInTimeRecovery: true, retain: false }
    permissionsBoundary: { Ref: Boundary }
functions:
  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: order-worker, topic: orders } }] }
  audit: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: order-audit, topic: orders, maximumConcurrency: 20 } }] }
resources:
  Resources:
    Pager: { Type: "AWS::SNS::Topic" }
    Boundary:
      Type: AWS::IAM::ManagedPolicy
      Properties: { PolicyDocument: { Version: "2012-10-17", Statement: [{ Effect: Allow, Action: "*", Resource: "*" }] } }
`,
  destinations: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] } } } }
functions:
  orders:
    handler: handler.handler
    events:
      - rocketmq: { consumerGroup: order-worker, topic: orders, onFailure: "arn:aws:sqs:eu-west-1:123456789012:dead-orders" }
      - rocketmq: { consumerGroup: order-worker, topic: refunds, onFailure: "arn:aws:s3:::dead-letters" }
      - rocketmq: { consumerGroup: order-worker, topic: returns, onFailure: "arn:aws:sns:eu-west-1:123456789012:dead-returns" }
      - rocketmq: { consumerGroup: order-worker, topic: claims, onFailure: "rocketmq://dead-claims" }
      - rocketmq: { consumerGroup: order-worker, topic: photos, s3PointerThreshold: { bytes: 256000, bucket: "arn:aws:s3:::large-bodies" } }
      - rocketmq: { consumerGroup: order-worker, topic: videos, s3PointerThreshold: { bytes: 1, bucket: "arn:aws:s3:::large-bodies", prefix: videos/ } }
`,
  groups: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom:
  rocketmq:
    clusters: { default: { nameServers: ["ns1.internal:9876"] }, legacy: { nameServers: ["old.internal:9876"], namespace: MQ_INST_1 } }
    groups:
      shared: { coexist: true }
      everyone: { messageModel: BROADCASTING }
      sharded: { strategy: CONSISTENT_HASH, pullers: 3, trace: true }
functions:
  shared: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: shared, topic: orders } }] }
  everyone: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: everyone, topic: prices } }] }
  sharded: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: sharded, topic: orders, order: key, cluster: legacy } }] }
`,
  references: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom:
  rocketmq:
    clusters:
      default:
        nameServers: [{ "Fn::ImportValue": rocketmq-name-servers }]
        credentials: { secretArn: { Ref: Secret } }
        tls: { ssmParameter: { Ref: Certificates } }
    table: { name: { "Fn::ImportValue": shared-assignments } }
functions:
  orders:
    handler: handler.handler
    events:
      - rocketmq: { consumerGroup: order-worker, topic: orders, onFailure: { type: s3, arn: { "Fn::GetAtt": [Letters, Arn] } } }
      - rocketmq:
          consumerGroup: order-worker
          topic: refunds
          onFailure: { type: sqs, arn: { "Fn::GetAtt": [Dead, Arn] } }
          s3PointerThreshold: { bytes: 256000, bucket: { "Fn::GetAtt": [Letters, Arn] } }
resources:
  Resources:
    Secret: { Type: "AWS::SecretsManager::Secret", Properties: { GenerateSecretString: { SecretStringTemplate: '{"accessKey":"shop"}', GenerateStringKey: secretKey } } }
    Certificates: { Type: "AWS::SSM::Parameter", Properties: { Name: /shop/tls, Type: String, Value: "{}" } }
    Letters: { Type: "AWS::S3::Bucket" }
    Dead: { Type: "AWS::SQS::Queue" }
`,
  scheduled: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom:
  rocketmq:
    clusters: { default: { nameServers: ["10.0.1.5:9876"] } }
    groups: { order-worker: { scaling: { activationLagThreshold: 100, maxMessageAgeSeconds: 300 } }, quick: { idleTimeout: never, pullers: 2 } }
    coordinator: { mode: schedule, memorySize: 128 }
    vpc: { subnetIds: { "Fn::Split": [",", { "Fn::ImportValue": private-subnets }] }, securityGroupIds: [{ "Fn::GetAtt": [Brokers, GroupId] }] }
functions:
  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: order-worker, topics: { orders: paid, refunds: "*" }, eventFormat: kafka } }] }
  quick: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: quick, topics: [orders, returns], tracing: parent, retryDelay: { base: 5 } } }] }
resources:
  Resources:
    Brokers: { Type: "AWS::EC2::SecurityGroup", Properties: { GroupDescription: To the brokers, VpcId: vpc-0123456789abcdef0 } }
`,
  guarded: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom:
  rocketmq:
    clusters: { default: { nameServers: ["ns1.internal:9876"] } }
    operator: { readOnly: true }
    table: { deletionProtection: true, pointInTimeRecovery: true, kmsKeyArn: { "Fn::GetAtt": [Key, Arn] } }
    logging: { kmsKeyArn: { "Fn::GetAtt": [Key, Arn] } }
    tags: { team: payments }
functions:
  orders: { handler: handler.handler, events: [{ rocketmq: { consumerGroup: order-worker, topic: orders } }] }
resources:
  Resources:
    Key:
      Type: AWS::KMS::Key
      Properties:
        KeyPolicy:
          Version: "2012-10-17"
          Statement:
            - { Effect: Allow, Principal: { AWS: { "Fn::Sub": "arn:\${AWS::Partition}:iam::\${AWS::AccountId}:root" } }, Action: "kms:*", Resource: "*" }
            - { Effect: Allow, Principal: { Service: logs.eu-west-1.amazonaws.com }, Action: ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"], Resource: "*" }
`,
  pop: `
provider: { name: aws, runtime: nodejs24.x, region: eu-west-1 }
custom: { rocketmq: { clusters: { default: { nameServers: ["ns1.internal:9876"] } }, groups: { popped: { mode: pop } } } }
functions:
  orders:
    handler: handler.handler
    timeout: 30
    events:
      - rocketmq:
          consumerGroup: popped
          topic: orders
          filterPatterns: [{ body: { state: [paid], amount: [{ numeric: [">", 100] }] } }, { tags: [vip] }]
          maximumRetryAttempts: { default: 5, tags: { bulk: 0 } }
`,
};

export const HANDLER =
  'export const handler = async ({ Records }) => ({ batchItemFailures: [], seen: Records.length });\n';
