import assert from 'node:assert/strict';
import { signRequest } from '../../src/client/acl-signature.ts';
import type { Credentials } from '../../src/model/source.ts';
import { connectRaw } from './raw-connection.ts';
import { type RealRocketMQ, type RealRocketMQOptions, startRealRocketMQ } from './real-rocketmq.ts';
import { since } from './stack.ts';

export const ADMIN: Credentials = { accessKey: 'administrator', secretKey: 'administrators-key' };

/** What a user may do, beside nothing: the product needs `consume` of topic and group, and no more. */
export interface Rights {
  readonly topics: readonly string[];
  readonly groups: readonly string[];
}

/** A real cluster that lets nobody in without a right: ACL 2.0 on 5.x, ACL 1.0 on 4.9. */
export interface SecuredRocketMQ extends RealRocketMQ {
  /** Makes a user who may consume these, or changes the user's key. */
  allow(user: Credentials, rights: Rights): Promise<void>;
}

const AUTH = 'org.apache.rocketmq.auth';
const ACL_2 = {
  authenticationEnabled: 'true',
  authenticationProvider: `${AUTH}.authentication.provider.DefaultAuthenticationProvider`,
  authenticationMetadataProvider: `${AUTH}.authentication.provider.LocalAuthenticationMetadataProvider`,
  initAuthenticationUser: JSON.stringify({ username: ADMIN.accessKey, password: ADMIN.secretKey }),
  innerClientAuthenticationCredentials: JSON.stringify({
    accessKey: 'inner',
    secretKey: 'inner-secret',
  }),
  authorizationEnabled: 'true',
  authorizationProvider: `${AUTH}.authorization.provider.DefaultAuthorizationProvider`,
  authorizationMetadataProvider: `${AUTH}.authorization.provider.LocalAuthorizationMetadataProvider`,
};
const CREATE_USER = 3001;
const UPDATE_USER = 3002;
const CREATE_ACL = 3006;

export async function startSecuredRocketMQ(
  options: RealRocketMQOptions = {},
): Promise<SecuredRocketMQ> {
  return since('5.0') ? withAcl2(options) : withAcl1(options);
}

async function withAcl2(options: RealRocketMQOptions): Promise<SecuredRocketMQ> {
  const rocketmq = await startRealRocketMQ({
    ...options,
    brokerConf: { ...ACL_2, ...options.brokerConf },
  });
  const known = new Set<string>();
  const call = async (code: number, ext: Record<string, string>, body: object): Promise<void> => {
    const raw = await connectRaw(rocketmq.brokers[0]?.address ?? '');
    const bytes = Buffer.from(JSON.stringify(body));
    const answer = await raw.call(code, signRequest(ext, bytes, ADMIN), { body: bytes });
    raw.close();
    assert.equal(answer.code, 0, answer.remark);
  };
  return {
    ...rocketmq,
    async allow({ accessKey, secretKey }, { topics, groups }) {
      const user = {
        username: accessKey,
        password: secretKey,
        userType: 'Normal',
        userStatus: 'enable',
      };
      await call(known.has(accessKey) ? UPDATE_USER : CREATE_USER, { username: accessKey }, user);
      if (known.has(accessKey)) return;
      known.add(accessKey);
      const subject = `User:${accessKey}`;
      const resources = [
        ...topics.map((topic) => `Topic:${topic}`),
        ...groups.map((group) => `Group:${group}`),
      ];
      const entries = resources.map((resource) => ({
        resource,
        actions: ['Sub', 'Get'],
        decision: 'Allow',
      }));
      await call(
        CREATE_ACL,
        { subject },
        { subject, policies: [{ policyType: 'Custom', entries }] },
      );
    },
  };
}

/** The file is read again when it changes. */
async function withAcl1(options: RealRocketMQOptions): Promise<SecuredRocketMQ> {
  const users = new Map<string, { user: Credentials; rights: Rights }>();
  const file = (): string =>
    [
      'accounts:',
      `- { accessKey: ${ADMIN.accessKey}, secretKey: ${ADMIN.secretKey}, admin: true, defaultTopicPerm: PUB|SUB, defaultGroupPerm: PUB|SUB }`,
      ...[...users.values()].map(({ user, rights }) => {
        const list = (names: readonly string[]): string =>
          `[${names.map((name) => `${name}=SUB`).join(', ')}]`;
        return `- { accessKey: ${user.accessKey}, secretKey: ${user.secretKey}, admin: false, defaultTopicPerm: DENY, defaultGroupPerm: DENY, topicPerms: ${list(rights.topics)}, groupPerms: ${list(rights.groups)} }`;
      }),
      '',
    ].join('\n');
  const name = 'conf/plain_acl.yml';
  const rocketmq = await startRealRocketMQ({
    ...options,
    brokerConf: { aclEnable: 'true', ...options.brokerConf },
    files: { ...options.files, [name]: file() },
  });
  return {
    ...rocketmq,
    async allow(user, rights) {
      users.set(user.accessKey, { user, rights });
      await rocketmq.writeFile(name, file());
    },
  };
}
