import { describe, test } from 'node:test';
import {
  type Candidate,
  considerCandidate,
  EMPTY_DRAFT,
  isComplete,
  placeMessage,
  type Reading,
} from '../../../src/decide/batch/choose-batch.ts';
import {
  type MessageFacts,
  whyEntryUnhandled,
  whyMessageUnhandled,
} from '../../../src/decide/batch/why-unhandled.ts';
import { type Command, runTranscript } from '../../support/transcript.ts';

interface Waiting extends Candidate {
  readonly name: string;
  readonly reading: Reading;
}

describe('transcripts', () => {
  test('batch-choice', () =>
    runTranscript('batch-choice', (command) => {
      switch (command.word) {
        case 'choose':
          return choose(waitingOf(command), Number(command.maybe('taken') ?? 0));
        case 'entry':
          return whyEntry(command);
        case 'read':
          return whyMessage(command);
        default:
          throw new Error(`unknown command: ${command.text}`);
      }
    }));
});

/** `from=a,b:limit2,c:alone,d:send-back+unhandled` */
function waitingOf(command: Command): Waiting[] {
  const batchSize = Number(command.maybe('batch-size') ?? 10);
  return command
    .arg('from')
    .split(',')
    .map((text) => {
      const [name = '', list = ''] = text.split(':');
      const facts = list.split('+');
      const has = (fact: string): boolean => facts.includes(fact);
      const limit = facts.find((fact) => fact.startsWith('limit'))?.slice('limit'.length);
      const kind = KINDS.find(has);
      return {
        name,
        maxMessages: limit === undefined ? undefined : Number(limit),
        isOurs: !has('not-ours'),
        isolation: has('alone') ? 'alone' : has('send-back') ? 'send-back' : 'batch',
        reading: kind === undefined ? { kind: 'added', batchSize } : { kind },
      };
    });
}

const KINDS = ['filtered-out', 'of-another', 'set-aside', 'unhandled'] as const;

/** As a deliverer carries it out, without a queue. */
function choose(waiting: readonly Waiting[], takenBefore: number): string {
  const lines: string[] = [];
  let draft = EMPTY_DRAFT;
  let taken = takenBefore;
  for (const candidate of waiting) {
    if (isComplete(draft)) break;
    const considered = considerCandidate(draft, candidate, taken);
    draft = considered.draft;
    if (considered.next === 'stop') break;
    if (considered.next === 'forget') {
      lines.push(`${candidate.name} forgotten`);
      continue;
    }
    const placed = placeMessage(draft, candidate.reading, candidate);
    draft = placed.draft;
    if (placed.next === 'stop') break;
    taken++;
    lines.push(`${candidate.name} ${WORDS[placed.next]}`);
    if (placed.next === 'unhandled') return lines.join('\n');
  }
  const { count, isAlone } = draft;
  return [
    ...lines,
    `> ${count === 0 ? 'nothing' : `${count} to the handler`}${isAlone ? ', alone' : ''}`,
  ].join('\n');
}

const WORDS = {
  add: 'in the batch',
  filter: 'done, no pattern wants it',
  'set-aside': 'to the end of the retry topic',
  unhandled: 'has its end without a handler',
} as const;

function whyEntry(command: Command): string {
  const deaths = command.maybe('deaths');
  const why = whyEntryUnhandled({
    pendingEnd: command.maybe('pending') === undefined ? undefined : 'RetryAttemptsExhausted',
    undecodable: command.maybe('undecodable'),
    deaths: deaths === undefined ? undefined : Number(deaths),
  });
  return why === undefined ? 'read it' : `${why.how}, ${why.condition}: ${why.reason}`;
}

function whyMessage(command: Command): string {
  const number = (name: string): number => Number(command.maybe(name) ?? 0);
  const age = command.maybe('too-old');
  const facts: MessageFacts = {
    topic: 'orders',
    isSubscribed: command.maybe('subscribed') !== 'no',
    ageBeyondLimit: age === undefined ? undefined : Number(age),
    maximumRecordAgeInSeconds: 60,
    brokerFailures: number('broker-failures'),
    localRetries: number('failures-here'),
    countedBefore: number('counted-before'),
    failuresBeforeEnd: command.maybe('end-after') === undefined ? undefined : number('end-after'),
    maxReconsumeTimes: number('limit'),
    isPopped: command.maybe('mode') === 'pop',
  };
  const why = whyMessageUnhandled(facts);
  return why === undefined ? 'to its handler' : `${why.how}, ${why.condition}: ${why.reason}`;
}
