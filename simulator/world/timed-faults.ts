import type { SourceConfig, SubscriptionConfig } from '../../src/model/source.ts';
import type { Host } from '../kernel/scheduler.ts';
import type { Fault } from '../plan.ts';
import type { Disturbed } from './disturbance.ts';
import { operate } from './operator.ts';
import type { Stage } from './stage.ts';

export type TimedFault = Extract<Fault, { readonly at: number }>;

type Carry<Kind extends TimedFault['kind']> = (
  fault: Extract<TimedFault, { readonly kind: Kind }>,
  stage: Stage,
) => void;

function endsAfter(stage: Stage, kind: string, ms: number, recover: () => void = () => {}): void {
  stage.at(ms, () => {
    recover();
    stage.note(`${kind} is over`);
  });
}

function pick(
  { lambda, processes }: Stage,
  { of, which }: { readonly of: 'puller' | 'coordinator' | 'handler'; readonly which: number },
): Host | undefined {
  const hosts = of === 'handler' ? [...lambda.running] : processes.of(of);
  return hosts.length === 0 ? undefined : hosts[which % hosts.length];
}

const ofProcess = (host: Host): Disturbed => ({ kind: 'process', host });
const ofBroker = (name: string, forgets = false): Disturbed => ({ kind: 'broker', name, forgets });

/** @returns ends it */
function setAbsent(
  stage: Stage,
  topic: string,
  how: Extract<Fault, { kind: 'event-absent' }>['how'],
): () => void {
  const of = (source: SourceConfig) => source.subscriptions.find((one) => one.topic === topic)!;
  if (how !== 'disabled') {
    const { functionName } = of(stage.plan.source).handler;
    stage.lambda.absent.set(functionName, how);
    return () => void stage.lambda.absent.delete(functionName);
  }
  const setEnabled = (enabled: boolean): void =>
    stage.deploy((source) => ({
      ...source,
      subscriptions: source.subscriptions.map((one) =>
        one.topic === topic ? { ...one, enabled } : one,
      ),
    }));
  setEnabled(false);
  return () => setEnabled(true);
}

const CARRY_OUT: { readonly [Kind in TimedFault['kind']]: Carry<Kind> } = {
  kill(fault, stage) {
    const host = pick(stage, fault);
    if (host === undefined) return;
    stage.note(`${host.name} is killed`);
    stage.processes.kill(host);
  },
  freeze(fault, stage) {
    const host = pick(stage, fault);
    if (host === undefined) return;
    stage.note(`${host.name} is frozen for ${fault.ms} ms`, ofProcess(host), fault.ms);
    stage.scheduler.freeze(host);
    endsAfter(stage, `freeze of ${host.name}`, fault.ms, () => stage.scheduler.thaw(host));
  },
  'broker-restart'({ broker, how, ms }, stage) {
    stage.note(`${broker} is ended by ${how} for ${ms} ms`, ofBroker(broker, how === 'KILL'), ms);
    stage.brokers.named(broker).restart(how, ms);
    endsAfter(stage, `restart of ${broker}`, ms);
  },
  'broker-silent'({ broker, ms }, stage) {
    const { server } = stage.brokers.named(broker);
    if (server.state !== 'up') return;
    stage.note(`${broker} is out of reach for ${ms} ms`, ofBroker(broker), ms);
    server.state = 'silent';
    stage.network.mute({ server });
    endsAfter(stage, `silence of ${broker}`, ms, () => {
      if (server.state === 'silent') server.state = 'up';
    });
  },
  'broker-frozen'({ broker, ms }, stage) {
    const { host } = stage.brokers.named(broker);
    stage.note(`${broker} is frozen for ${ms} ms`, ofBroker(broker), ms);
    stage.scheduler.freeze(host);
    endsAfter(stage, `freeze of ${broker}`, ms, () => stage.scheduler.thaw(host));
  },
  'name-server-away'({ ms }, stage) {
    const { nameServer } = stage.brokers;
    stage.note(`the name server is away for ${ms} ms`);
    nameServer.state = 'refusing';
    stage.network.cutServer(nameServer);
    endsAfter(stage, 'absence of the name server', ms, () => {
      nameServer.state = 'up';
    });
  },
  'sends-fail'({ fate, ms }, stage) {
    stage.note(`sends fail for ${ms} ms: ${fate}`, { kind: 'everything' }, ms);
    stage.failSends(fate);
    endsAfter(stage, 'failure of sends', ms, () => stage.failSends(undefined));
  },
  'connections-mute'({ broker }, stage) {
    stage.note(`connections of ${broker} go dead without a word`, ofBroker(broker));
    stage.network.mute({ server: stage.brokers.named(broker).server });
  },
  'table-down'({ ms }, stage) {
    stage.note(`the table does not answer for ${ms} ms`, { kind: 'everything' }, ms);
    stage.table.downUntil = stage.scheduler.now + ms;
    endsAfter(stage, 'silence of the table', ms);
  },
  'lambda-throttled'({ ms }, stage) {
    stage.note(`Lambda throttles for ${ms} ms`);
    stage.lambda.throttledUntil = stage.scheduler.now + ms;
    endsAfter(stage, 'throttle', ms);
  },
  'event-absent'({ topic, how, ms }, stage) {
    stage.note(`the event of ${topic} is ${how} for ${ms} ms`);
    endsAfter(stage, `absence of the event of ${topic}`, ms, setAbsent(stage, topic, how));
  },
  'queues-added'({ topic, broker, queues }, stage) {
    stage.note(`${topic} has ${queues} queues on ${broker} now`);
    stage.brokers.createTopic(topic, queues, [broker]);
  },
  'topic-recreated'({ ms, keepsOffsets }, stage) {
    const { name, queues } = stage.plan.topics[0]!;
    stage.note(`${name} is deleted for ${ms} ms`);
    for (const { broker } of stage.brokers.all) {
      broker.state.topics.remove(name);
      broker.state.store.drop(name);
      if (!keepsOffsets) broker.state.offsets.forgetTopic(name);
    }
    stage.topicDeleted(name);
    endsAfter(stage, `absence of ${name}`, ms, () => stage.brokers.createTopic(name, queues));
  },
  'java-member'({ ms, dies }, stage) {
    stage.note('a Java member joins the group');
    const end = stage.startJavaMember();
    endsAfter(stage, 'membership of the Java member', ms, () => end(dies));
  },
  'second-deployment'({ ms }, stage) {
    stage.note('another stage is deployed');
    stage.setSecondDeployment(true);
    endsAfter(stage, 'schedule of the other stage', ms, () => stage.setSecondDeployment(false));
  },
  slots({ pullers }, stage) {
    stage.note(`deployed with pullers: ${pullers}`);
    stage.deploy((source) => ({ ...source, pullers }));
  },
  redeploy({ subscription, source: changed }, stage) {
    stage.note(`deployed with ${JSON.stringify({ ...subscription, ...changed })}`);
    const set = Object.entries(subscription).filter(([, value]) => value !== undefined);
    stage.deploy((source) => ({
      ...source,
      ...changed,
      subscriptions: source.subscriptions.map((before) => {
        const kept = Object.entries(before).filter(([name]) => !(name in subscription));
        return Object.fromEntries([...kept, ...set]) as unknown as SubscriptionConfig;
      }),
    }));
  },
  operator: operate,
  'table-cut'(fault, stage) {
    const host = pick(stage, fault);
    if (host === undefined) return;
    stage.note(
      `${host.name} does not reach the table for ${fault.ms} ms`,
      ofProcess(host),
      fault.ms,
    );
    stage.cutFromTable(host, true);
    endsAfter(stage, `cut of ${host.name}`, fault.ms, () => stage.cutFromTable(host, false));
  },
  'no-coordinator'({ ms }, stage) {
    stage.note(`no coordinator runs for ${ms} ms`);
    stage.setSchedule(false);
    for (const host of stage.processes.of('coordinator')) stage.processes.kill(host);
    endsAfter(stage, 'absence of coordinators', ms, () => stage.setSchedule(true));
  },
  'program-ends'({ which, how }, stage) {
    stage.note(`a program ends: ${how}`);
    stage.endProgram(which, how);
  },
  'mqadmin-reset'({ queueId, isLost }, stage) {
    const [broker] = stage.brokers.all;
    const topic = stage.plan.topics[0]!.name;
    const { store, offsets } = broker!.broker.state;
    const to = BigInt(store.maxOffset(topic, queueId));
    stage.note(`mqadmin resets queue ${queueId} to ${to}`);
    stage.skipped(`${topic}/${broker!.name}/${queueId}`, to, false);
    if (isLost) stage.loseNextPull(topic, queueId);
    offsets.reset(stage.plan.source.consumerGroup, topic, queueId, to);
  },
};

export function carryOut(fault: TimedFault, stage: Stage): void {
  (CARRY_OUT[fault.kind] as (fault: TimedFault, stage: Stage) => void)(fault, stage);
}
