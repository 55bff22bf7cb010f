// Node's runtime posts JSON.stringify(answer), or null where that is undefined.
const cases = {
  nothing: undefined,
  null: null,
  'empty object': {},
  'empty list of failures': { batchItemFailures: [] },
  'undefined as list': { batchItemFailures: undefined },
  one: { batchItemFailures: [{ itemIdentifier: 'A' }] },
  'undefined and null in all others': {
    batchItemFailures: [{ itemIdentifier: 'A', delaySeconds: undefined, delayLevel: null, action: null }],
  },
  'undefined as identifier': { batchItemFailures: [{ itemIdentifier: undefined }] },
  'NaN seconds': { batchItemFailures: [{ itemIdentifier: 'A', delaySeconds: Number.NaN }] },
  'Set as list': { batchItemFailures: new Set(['A']) },
  'list of promises': [Promise.resolve()],
  'promise as list': { batchItemFailures: Promise.resolve([]) },
  Map: new Map([['batchItemFailures', [{ itemIdentifier: 'A' }]]]),
  Buffer: Buffer.from('{}'),
  'empty string': '',
  false: false,
  0: 0,
  Error: new Error('no database'),
};
for (const [name, answer] of Object.entries(cases))
  console.log(JSON.stringify({ language: 'node', handler: 'JSON.stringify', case: name, kind: 'answer', body: JSON.stringify(answer) ?? 'null' }));
