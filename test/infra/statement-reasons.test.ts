import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { CloudFormationResource } from '../../infra/serverless-api.ts';
import { FIXTURES } from './fixtures.ts';
import { type Json, ROOT } from './package-service.ts';

const PAGE = path.join(ROOT, 'docs/iam.md');
const SNAPSHOTS = path.join(import.meta.dirname, 'snapshots');

/** The templates of all fixtures; templates.test.ts compares them with what is packaged. */
async function templates(): Promise<Record<string, CloudFormationResource>[]> {
  return await Promise.all(
    Object.keys(FIXTURES).map(async (name) =>
      JSON.parse(await readFile(path.join(SNAPSHOTS, `${name}.json`), 'utf8')),
    ),
  );
}

/** `RocketmqPullerRole` → `puller` */
function roleName(id: string): string {
  return id.replace(/^Rocketmq(.*)Role$/, (_, name: string) =>
    name.replaceAll(/(?<!^)[A-Z]/g, ' $&').toLowerCase(),
  );
}

/** What each role names of its own, and handlers, are the same row; every other name is a row. */
function general(text: string, id: string): string {
  const own = id.replace(/Role$/, '');
  return text
    .replace(`${own}LogGroup.Arn`, 'OwnLogGroup.Arn')
    .replace(/GROUP#[^*,]+(, GROUP#[^*,]+)*$/, 'GROUP#OwnGroups')
    .replace(`function:shop-dev-r${own.slice(1)}`, 'function:OwnFunction')
    .replace(/^(?!Rocketmq)\w+LambdaFunction\.Arn$/, 'HandlerLambdaFunction.Arn');
}

/** A line per role, statement and resource, so that a wider resource is a new line. */
function linesOf(id: string, { Properties }: Json): string[] {
  const trust = Properties.AssumeRolePolicyDocument.Statement;
  const granted = Properties.Policies.flatMap(
    ({ PolicyDocument }: Json) => PolicyDocument.Statement,
  );
  return [...trust, ...granted].flatMap(
    ({ Effect, Action, Resource, Principal, Condition, ...others }: Json) => {
      assert.deepEqual(others, {}, `${id} has a statement with parts that the table does not show`);
      return [Resource ?? Principal]
        .flat()
        .map((target: unknown) =>
          [
            roleName(id),
            Effect,
            [Action].flat().join(', '),
            general(shown(target), id),
            Condition === undefined ? '' : general(shown(Condition), id),
          ].join(' | '),
        );
    },
  );
}

/** References as CloudFormation's short form writes them. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(shown).join(', ');
  const entries = Object.entries(value as object);
  return entries
    .map(([key, part]) => {
      if (key === 'Fn::GetAtt') return part.join('.');
      if (key === 'Ref' || (key === 'Fn::Sub' && typeof part === 'string')) return String(part);
      return `${key}: ${shown(part)}`;
    })
    .join('; ');
}

async function rows(): Promise<{ line: string; reason: string }[]> {
  const page = await readFile(PAGE, 'utf8');
  return page
    .split('\n')
    .filter((line) => /^\| [a-z, ]+ \| `(Allow|Deny)` \|/.test(line))
    .flatMap((line) => {
      const cells = line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim().replaceAll('`', ''));
      const [roles = '', effect, actions, target, condition = '', reason = ''] = cells;
      return roles.split(', ').map((role) => ({
        line: [role, effect, actions, target, condition].join(' | '),
        reason,
      }));
    });
}

test('every snapshot is of a fixture', async () => {
  const files = await readdir(SNAPSHOTS);
  assert.deepEqual(
    files.sort(),
    Object.keys(FIXTURES)
      .map((name) => `${name}.json`)
      .sort(),
  );
});

test('docs/iam.md has a reason for every statement of every fixture, and no other', async () => {
  const present = new Set(
    (await templates()).flatMap((resources) =>
      Object.entries(resources)
        .filter(([, { Type }]) => Type === 'AWS::IAM::Role')
        .flatMap(([id, resource]) => linesOf(id, resource as Json)),
    ),
  );
  const documented = await rows();
  assert.deepEqual(
    documented.map(({ line }) => line).sort(),
    [...present].sort(),
    'a statement without a row, or a row without a statement',
  );
  for (const { line, reason } of documented)
    assert.ok(reason.length >= 20, `${line} has no reason`);
});

test('no policy stands outside a role', async () => {
  for (const resources of await templates())
    for (const [id, { Type }] of Object.entries(resources))
      assert.doesNotMatch(
        Type,
        /^AWS::(IAM::(?!Role$)|Lambda::Permission|KMS::)|Policy$/,
        `${id}: its statements have no row in docs/iam.md`,
      );
});
