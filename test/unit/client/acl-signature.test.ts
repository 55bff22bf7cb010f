import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { signRequest } from '../../../src/client/acl-signature.ts';
import { readVectors } from '../../support/vectors.ts';

interface AclVector {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly securityToken: string | null;
  readonly body: string | null;
  readonly extFieldsAfterHook: Record<string, string>;
  readonly signature: string;
}

const ADDED = ['AccessKey', 'SecurityToken', 'Signature'];

describe('signRequest', () => {
  it('does what Java’s AclClientRPCHook does, for every vector', () => {
    const { cases } = readVectors<{ cases: AclVector[] }>('acl');
    assert(cases.length >= 40);
    for (const {
      accessKey,
      secretKey,
      securityToken,
      body,
      extFieldsAfterHook,
      signature,
    } of cases) {
      const before = Object.fromEntries(
        Object.entries(extFieldsAfterHook).filter(([name]) => !ADDED.includes(name)),
      );
      const signed = signRequest(before, body === null ? undefined : Buffer.from(body, 'base64'), {
        accessKey,
        secretKey,
        ...(securityToken === null ? {} : { securityToken }),
      });
      assert.deepEqual(signed, extFieldsAfterHook);
      assert.equal(signed.Signature, signature);
    }
  });

  it('orders names as Java does, upper case before "_" before lower case', () => {
    const signed = signRequest(
      { topic: 'T', consumerGroup: 'G', Zed: '1', a_b: '2' },
      Buffer.from('BODY'),
      {
        accessKey: 'ak',
        secretKey: 'sk',
      },
    );
    assert.equal(signed.Signature, 'fxQFfxUwS7aH+b//DpYheA6lGaI=');
  });

  it('leaves its input alone, and does not sign an old signature', () => {
    const fields = Object.freeze({ topic: 'T', Signature: 'old' });
    const credentials = { accessKey: 'ak', secretKey: 'sk' };
    assert.deepEqual(
      signRequest(fields, undefined, credentials),
      signRequest({ topic: 'T' }, undefined, credentials),
    );
  });
});
