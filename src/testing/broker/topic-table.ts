import { PERM_READ, PERM_WRITE } from '../../model/route.ts';
import { AUTO_CREATE_TOPIC, SCHEDULE_TOPIC } from './names.ts';

const PERM_INHERIT = 1;

/** Mirrors org.apache.rocketmq.common.TopicConfig. */
export interface TopicConfig {
  readonly topicName: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  readonly perm: number;
  readonly topicFilterType: 'SINGLE_TAG' | 'MULTI_TAG';
  readonly topicSysFlag: number;
  readonly order: boolean;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The topics of one broker. Mirrors TopicConfigManager. */
export interface TopicTable {
  get(topic: string): TopicConfig | undefined;
  put(config: TopicConfig): void;
  remove(topic: string): void;
  all(): IterableIterator<TopicConfig>;
  /** A send to an unknown topic: inherits from the template topic when that allows it (createTopicInSendMessageMethod). */
  createBySend(
    topic: string,
    template: string,
    queueNums: number,
    topicSysFlag: number,
  ): TopicConfig | undefined;
  /** Retry and DLQ topics (createTopicInSendMessageBackMethod). */
  createForGroup(topic: string, queueNums: number): TopicConfig;
}

export function topicConfig(
  topicName: string,
  queueNums: number,
  perm = PERM_READ | PERM_WRITE,
  topicSysFlag = 0,
): TopicConfig {
  return {
    topicName,
    readQueueNums: queueNums,
    writeQueueNums: queueNums,
    perm,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag,
    order: false,
    attributes: {},
  };
}

export function createTopicTable(options: {
  autoCreateTopic: boolean;
  defaultTopicQueueNums: number;
  delayLevels: number;
}): TopicTable {
  const topics = new Map<string, TopicConfig>();
  const put = (config: TopicConfig) => void topics.set(config.topicName, config);
  if (options.autoCreateTopic)
    put(
      topicConfig(
        AUTO_CREATE_TOPIC,
        options.defaultTopicQueueNums,
        PERM_INHERIT | PERM_READ | PERM_WRITE,
      ),
    );
  put(topicConfig(SCHEDULE_TOPIC, options.delayLevels));

  return {
    get: (topic) => topics.get(topic),
    put,
    remove: (topic) => void topics.delete(topic),
    all: () => topics.values(),
    createBySend(topic, template, queueNums, topicSysFlag) {
      const from = topics.get(template);
      if (from === undefined || (from.perm & PERM_INHERIT) === 0) return undefined;
      const created = topicConfig(
        topic,
        Math.max(0, Math.min(queueNums, from.writeQueueNums)),
        from.perm & ~PERM_INHERIT,
        topicSysFlag,
      );
      put(created);
      return created;
    },
    createForGroup(topic, queueNums) {
      const known = topics.get(topic);
      if (known !== undefined) return known;
      const created = topicConfig(topic, queueNums);
      put(created);
      return created;
    },
  };
}
