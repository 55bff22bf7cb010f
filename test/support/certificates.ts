import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Paths of PEM files. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A key and its certificate, made with openssl: an authority that signs itself, or a certificate that `authority` signs for `names`. */
export async function makeCertificate(
  folder: string,
  name: string,
  by?: { readonly authority: Certificate; readonly names: string },
): Promise<Certificate> {
  const file = (suffix: string): string => path.join(folder, `${name}.${suffix}`);
  const made = { key: file('key'), cert: file('pem') };
  const fresh = [
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    made.key,
  ];
  if (by === undefined) {
    await run('openssl', [...fresh, '-x509', '-days', '2', '-out', made.cert]);
    return made;
  }
  await writeFile(file('ext'), `subjectAltName=${by.names}`);
  await run('openssl', [...fresh, '-out', file('csr')]);
  const signer = ['-CA', by.authority.cert, '-CAkey', by.authority.key, '-CAcreateserial'];
  await run('openssl', [
    'x509',
    '-req',
    '-in',
    file('csr'),
    ...signer,
    '-days',
    '2',
    '-extfile',
    file('ext'),
    '-out',
    made.cert,
  ]);
  return made;
}
