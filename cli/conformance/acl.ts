import { signRequest } from '../../src/client/acl-signature.ts';
import type { Checker } from './checker.ts';

interface AclVectors {
  readonly cases: readonly {
    readonly accessKey: string;
    readonly secretKey: string;
    readonly securityToken: string | null;
    readonly body: string | null;
    readonly extFieldsAfterHook: Readonly<Record<string, string>>;
    readonly signature: string;
  }[];
}

const ADDED_BY_SIGNING = ['AccessKey', 'SecurityToken', 'Signature'];

/** Takes away what signing adds, signs, and compares all fields. */
export function checkAcl({ cases }: AclVectors, checker: Checker): void {
  cases.forEach(
    ({ accessKey, secretKey, securityToken, body, extFieldsAfterHook, signature }, index) => {
      checker.case(`case ${index}`, (expect) => {
        const unsigned = Object.fromEntries(
          Object.entries(extFieldsAfterHook).filter(([name]) => !ADDED_BY_SIGNING.includes(name)),
        );
        const credentials = {
          accessKey,
          secretKey,
          ...(securityToken === null ? {} : { securityToken }),
        };
        const signed = signRequest(
          unsigned,
          body === null ? undefined : Buffer.from(body, 'base64'),
          credentials,
        );
        expect('Signature', signed.Signature, signature);
        expect('extFields', { ...signed }, { ...extFieldsAfterHook });
      });
    },
  );
}
