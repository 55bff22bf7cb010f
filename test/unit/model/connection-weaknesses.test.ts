import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectionWeaknesses } from '../../../src/model/connection-weaknesses.ts';

const credentials = { accessKey: 'a', secretKey: 's' };
const secret = { secretArn: 'arn:aws:secretsmanager:eu-west-1:1:secret:mq-AbCdEf' };
const PLAIN = /^credentials without tls/;
const UNVERIFIED = /^tls\.verify: false/;

describe('weaknesses of a connection', () => {
  for (const [what, cluster, expected] of [
    ['credentials without tls', { credentials }, [PLAIN]],
    ['a secret without tls', { secrets: { credentials: secret } }, [PLAIN]],
    ['tls that is switched off', { credentials, tls: { enabled: false } }, [PLAIN]],
    [
      'tls.verify: false where tls is switched off',
      { credentials, tls: { enabled: false, verify: false } },
      [PLAIN],
    ],
    ['tls.verify: false', { tls: { enabled: true, verify: false } }, [UNVERIFIED]],
    [
      'tls.verify: false beside credentials and a secret of tls',
      { credentials, secrets: { tls: secret }, tls: { enabled: true, verify: false } },
      [UNVERIFIED],
    ],
    ['neither', {}, []],
    ['tls', { credentials, tls: { enabled: true } }, []],
    ['a secret of tls', { credentials, secrets: { tls: secret } }, []],
  ] as const)
    test(what, () => {
      const found = connectionWeaknesses(cluster);
      assert.equal(found.length, expected.length);
      for (const [index, pattern] of expected.entries()) {
        assert.match(found[index]?.text ?? '', pattern);
        assert.notEqual(found[index]?.fix, '');
      }
    });
});
