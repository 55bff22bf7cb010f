/**
 * What brokers of other versions do differently from 5.5.0, by the name of the check that tells. Each entry is proven too: on that version the
 * check must fail. Values say what the version does instead.
 */
const BEFORE_5_5 = {
  'answers with flag 1, its own language, a 5.x version and the same opaque':
    'its own version number',
  '200 refuses "a b" with 29': 'takes the name',
  '200 refuses 121 characters with 29': 'takes the name',
  '320 takes a batch apart into ordinary messages':
    'adds CLUSTER (and, from 5.0 on, MSG_REGION and TRACE_ON) to batched messages',
  'answers 26 for group "a b"': 'pulls for any group name',
  'answers 26 for a group of 121 characters': 'pulls for any group name',
  '34 for an illegal group is a success that registers nothing': 'registers it',
  'answers 26 to an illegal group': 'sends back for it',
  'answers 26 when the group’s name is illegal': 'answers another code',
} as const;

const BEFORE_5 = {
  '105 tells brokers and queues of a new topic at once, in standard JSON from version 401 on':
    'knows no enableActingMaster',
  '106 lists clusters and brokers, with bare keys whatever the version':
    'knows no enableActingMaster',
  'the name server answers 3 to a request that it does not know': 'answers nothing',
  'understands a binary header and answers in JSON': 'answers in binary',
  'understands a frame that arrives byte by byte': 'answers in binary',
  '17 replaces the whole configuration, and 351 shows it': 'has no request 351',
  '17 refuses "a b" with 29': 'refuses with 1',
  '17 refuses "TBW102" with 29': 'refuses with 1',
  '17 refuses 128 characters with 29': 'refuses with 1',
  '17 refuses " " with 29': 'refuses with 1',
  '351 answers 17 for an unknown topic': 'has no request 351',
  '200 creates a group, so that commits are taken': 'takes commits of unknown groups',
  '310 answers where the message is': 'tells no transactionId',
  '310 stores what it got, and adds MSG_REGION, TRACE_ON and CLUSTER': 'adds CLUSTER alone',
  '310 gives a message without UNIQ_KEY one': 'gives none',
  '310 answers 29 for a queue that does not exist': 'answers 1',
  '310 answers 1 to an empty body': 'takes it',
  '310 creates a topic from the template with as many queues as asked, at most 8':
    'has no request 351',
  '310 answers 29 to an illegal name and 16 to a topic of the broker’s own': 'answers 1',
  '320 refuses retry topics with 13': 'takes them',
  'a message with DELAY arrives when its level’s time has passed': 'gives no UNIQ_KEY',
  'answers 19 on an empty queue at 0, with every figure': 'tells no system flags',
  'answers 29 for queue 4 of 4, without offsets': 'answers 1',
  'answers 29 for queue -1 of 4, without offsets': 'answers 1',
  '361 is the same request': 'has no request 361',
  'learns of a reset only when its time is over': 'cannot reset by itself',
  '14 answers 22 when nothing is stored and the queue is empty': 'answers 0',
  '14 answers 22 all the same with setZeroIfNotFound=false': 'does not know the field, answers 0',
  '14 does not create the group': 'answers 0',
  '15 stores, 14 reads, per queue': 'answers 0 for a queue without an offset',
  '15 answers 26 for an unknown group and does not create it': 'stores it',
  '15 answers 17 for an unknown topic': 'stores it',
  '29 finds the first message stored at or after a time':
    'answers the last message for a time after it',
  '208 shows both ends of the lag, with queues as keys': 'tells no pullOffset',
  'works with nobody online and tells the new offsets, with queues as keys':
    'cannot reset by itself',
  '−1 means the end': 'cannot reset by itself',
  'commits are dropped with SUCCESS and a remark until a pull has seen it':
    'cannot reset by itself: pushes 220 to members',
  'a pull with the COMMIT flag writes its own offset over the reset': 'cannot reset by itself',
  'refuses offsets outside the queue with 1': 'knows only groups that are online',
  'answers 17 for an unknown topic and 26 for an unknown group': 'answers 1',
  '34 registers the member and creates the retry topic': 'answers without ext fields',
  '40 does not go to broadcasting groups': 'goes to them, too',
  'the retry topic appears with the first send-back: one queue, read and write':
    'has no request 351',
  'a retry topic has as many queues as the group wants': 'has no request 351',
  'level −1 goes to the DLQ at once': 'has no request 351',
  'answers 1 to the short form at the limit, and the message does not reach the DLQ':
    'dead-letters it',
  'a group without retry queues loses the message with SUCCESS': 'has no request 351',
  'goes to the retry topic while j ≤ l': 'goes to the DLQ from j = l on',
  'goes to the DLQ when j > l': 'keeps DELAY on what it dead-letters',
  'goes to the DLQ while the group holds a queue lock': 'locks divert nothing',
  'commits and reads offsets, and knows an unknown group': 'answers 0 for an unknown group',
} as const;

const DIFFERENCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '5.3.3': BEFORE_5_5,
  '4.9.7': { ...BEFORE_5_5, ...BEFORE_5 },
};

/** What the version does instead of what the check wants; undefined: the same as 5.5.0. */
export function differenceOf(version: string, check: string): string | undefined {
  return DIFFERENCES[version]?.[check];
}
