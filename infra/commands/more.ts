import type { GroupConnections } from '../../src/operator/connections.ts';
import type { CostAnswer } from '../../src/operator/cost.ts';
import type { DoctorAnswer } from '../../src/operator/doctor.ts';
import type { StatusAnswer } from '../../src/operator/status.ts';
import { changesOf } from '../../src/operator/status-changes.ts';
import { type CommandDefinition, type CommandRun, call, print } from './command.ts';
import { flag, GROUP, positive, QUEUE, TOPIC, text } from './options.ts';
import { EXIT } from './run-command.ts';
import { readStatus } from './status.ts';
import { instant, textTable } from './text-table.ts';

export const doctorCommand: CommandDefinition = {
  words: ['doctor'],
  usage:
    'Checks network, rights, topics, filters, clocks, table and handlers, from where the functions run; says what to do',
  options: GROUP,
  run: async (run) => {
    const answer = await call(run, 'doctor');
    print(run, answer, doctorText);
    return answer.failed === 0 ? EXIT.done : EXIT.failed;
  },
};

function doctorText({ place, findings, failed }: DoctorAnswer): string {
  const rows = findings.map(({ check, of, result, detail }) => [result, check, of, detail]);
  const fixes = findings.flatMap(({ result, check, of, fix }) =>
    fix === undefined || result === 'ok' ? [] : [`  ${check} of ${of}: ${fix}`],
  );
  return [
    `looked from ${place === 'function' ? "inside the function's network" : 'this machine'}`,
    textTable([{ title: 'RESULT' }, { title: 'CHECK' }, { title: 'OF' }, { title: 'FOUND' }], rows),
    ...(fixes.length === 0 ? [] : ['What to do:', ...fixes]),
    failed === 0 ? 'nothing failed' : `${failed} checks failed`,
  ].join('\n');
}

export const connectionsCommand: CommandDefinition = {
  words: ['connections'],
  usage: 'Members of the groups at the brokers, what they subscribe to, and conflicts',
  options: GROUP,
  run: async (run) =>
    print(run, await call(run, 'connections'), ({ groups }) =>
      groups.map(connectionsText).join('\n\n'),
    ),
};

function connectionsText({
  consumerGroup,
  cluster,
  members,
  subscriptions,
  conflicts,
  problems,
}: GroupConnections): string {
  const rows = members.map(({ clientId, clientAddr, language, version, own, brokers }) => [
    clientId,
    clientAddr,
    language,
    String(version),
    own ? 'yes' : 'no',
    brokers.join(' '),
  ]);
  return [
    `${consumerGroup} (cluster ${cluster})`,
    members.length === 0
      ? 'no members: pullers of this service are none, unless coexist is true'
      : textTable(
          [
            { title: 'CLIENT ID' },
            { title: 'ADDRESS' },
            { title: 'LANGUAGE' },
            { title: 'VERSION', right: true },
            { title: 'OURS' },
            { title: 'BROKERS' },
          ],
          rows,
        ),
    ...subscriptions.map(
      ({ topic, type, expression }) => `subscribes ${topic}: ${type} ${expression}`,
    ),
    ...conflicts.map((conflict) => `! conflict ${conflict}`),
    ...problems.map(({ broker, reason, message }) => `! ${reason} ${broker}: ${message}`),
  ].join('\n');
}

export const sendCommand: CommandDefinition = {
  words: ['send'],
  usage: 'Sends messages to a topic',
  options: {
    ...{
      cluster: text('Key of the cluster'),
      topic: text('One of the service, or of operator.topics in serverless.yml'),
      body: text('Text'),
      'body-base64': text('Or bytes'),
      count: text('How many (1)'),
    },
    ...{
      tag: text('Its tag'),
      key: { usage: 'A key; may be repeated', type: 'multiple' } as const,
    },
    'sharding-key': text('Equal keys go to the same queue'),
    property: { usage: 'NAME=VALUE; may be repeated', type: 'multiple' } as const,
  },
  run: async (run) =>
    print(run, await call(run, 'send'), ({ sent }) =>
      sent
        .map(
          ({ messageId, queue, offset, status }) =>
            `${messageId} is message ${offset} of ${queue}${status === 'SEND_OK' ? '' : ` (${status})`}`,
        )
        .join('\n'),
    ),
};

export const invokeCommand: CommandDefinition = {
  words: ['invoke'],
  usage: 'Gives one stored message to its handler function; commits and sends back nothing',
  options: { ...QUEUE, offset: text('Of the message') },
  run: async (run) => {
    const answer = await call(run, 'invoke');
    print(
      run,
      answer,
      ({ functionName, result, remark, spentMs, message }) =>
        `${functionName}: ${RESULTS[result]} in ${spentMs} ms${remark === undefined ? '' : `: ${remark}`} (message ${message.messageId})`,
    );
    return answer.result === 'CR_SUCCESS' ? EXIT.done : EXIT.failed;
  },
};

const RESULTS = {
  CR_SUCCESS: 'done',
  CR_LATER: 'it failed, and would come again',
  CR_THROW_EXCEPTION: 'it threw',
} as const;

export const tailCommand: CommandDefinition = {
  words: ['tail'],
  usage:
    'What changes, as it happens: who takes and releases queues, offsets, states, dead letters; until Ctrl-C',
  options: {
    ...TOPIC,
    interval: text('Seconds between two looks (2)'),
    for: text('Ends after that time: 30s, 10m'),
    once: flag('One comparison'),
  },
  run: tail,
};

/** Made of looks at the table and the brokers: what begins and ends between two of them is not seen. */
async function tail(run: CommandRun): Promise<number> {
  const { terminal, json, values, args } = run;
  const { for: seconds, once: _, ...asked } = args;
  const endAt = typeof seconds === 'number' ? terminal.now() + seconds * 1000 : undefined;
  let before: StatusAnswer | undefined;
  for (let looks = 0; !terminal.signal.aborted; looks++) {
    const after = await readStatus({ ...run, args: asked });
    for (const change of changesOf(before, after))
      terminal.out.write(
        json
          ? `${JSON.stringify(change)}\n`
          : `${instant(change.at)}  ${change.consumerGroup}  ${change.queue ?? ''}  ${change.text}\n`,
      );
    before = after;
    const isOver = endAt !== undefined && terminal.now() >= endAt;
    if (isOver || (values.once === true && looks === 1)) break;
    await terminal.sleep(positive(values, 'interval', 2) * 1000);
  }
  return EXIT.done;
}

export const costCommand: CommandDefinition = {
  words: ['cost'],
  usage:
    'What coordinator, pullers and table cost in a month that is like this moment, with the prices it counts with',
  options: {
    ...GROUP,
    'puller-memory': text('MB of the puller (512)'),
    'coordinator-memory': text('MB of the coordinator (256)'),
  },
  run: async (run) => print(run, await call(run, 'cost'), costText),
};

function costText({ basis, lines, dollars, leftOut }: CostAnswer): string {
  const rows = lines.map((line) => [
    line.what,
    line.quantity.toFixed(0),
    line.unit,
    line.price.toFixed(10).replace(/0+$/, ''),
    line.dollars.toFixed(2),
  ]);
  return [
    `now: ${basis.groups} groups, ${basis.queues} queues, ${basis.heldQueues} of them held by ${basis.pullers} pullers`,
    textTable(
      [
        { title: 'MONTH OF 730 H' },
        { title: 'QUANTITY', right: true },
        { title: 'UNIT' },
        { title: '$ EACH', right: true },
        { title: '$', right: true },
      ],
      [...rows, ['all of it', '', '', '', dollars.toFixed(2)]],
    ),
    `list prices of us-east-1; without ${leftOut.join(', ')}`,
  ].join('\n');
}

export const configCommand: CommandDefinition = {
  words: ['config'],
  usage:
    'The configuration that the deployed function works with, as JSON and without secrets: for --service-file',
  options: {},
  run: async (run) =>
    print(run, await call(run, 'config'), (service) => JSON.stringify(service, null, 2)),
};
