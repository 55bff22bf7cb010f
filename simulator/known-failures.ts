/** A fault of the present code that a point of the issue is to end. To be removed with that point; the run is then as strict as its checks. */
interface KnownFailure {
  /** Only there. Absent: everywhere. */
  readonly scenario?: string;
  readonly check: string;
  readonly text: RegExp;
  readonly why: string;
}

export const KNOWN_FAILURES: readonly KnownFailure[] = [
  {
    check: 'retry-limit',
    text: /is delivered as redelivery \d+, and the limit is/,
    why: 'ISSUE-10 §1.2: deliveries after a send-back that failed are not counted towards the limit (broker, seed 55)',
  },
  {
    scenario: 'mute',
    check: 'prompt',
    text: /./,
    why: 'ISSUE-10 §1.8: a connection that went dead without a word is used until its puller ends (mute, seed 3)',
  },
  {
    scenario: 'coexist',
    check: 'left-behind',
    text: /ran into its deadline/,
    why: 'ISSUE-10 §1.8: a member whose connection went dead without a word cannot take its leave in time (coexist, seed 157)',
  },
  ...['nothing-lost', 'drained', 'retry-limit', 'repeats'].map((check) => ({
    scenario: 'poisons',
    check,
    text: /./,
    why: 'ISSUE-10 §1.7: a message that was dead-lettered as a killer is not committed before the next one, which kills, is delivered: both come again without end; and a holder that dies before its first renewal never writes that progress was made since the last death, so that no message is isolated (poisons)',
  })),
];

export function isKnown(scenario: string, check: string, text: string): boolean {
  return KNOWN_FAILURES.some(
    (known) =>
      known.check === check && (known.scenario ?? scenario) === scenario && known.text.test(text),
  );
}
