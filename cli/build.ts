/** `npm run build`: what is published, as JavaScript with types, into dist/. */
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

rmSync(at('dist'), { recursive: true, force: true });
execFileSync(
  process.execPath,
  [at('node_modules/typescript/bin/tsc'), '-p', at('tsconfig.build.json')],
  { stdio: 'inherit' },
);
// The console's page is served as it is.
cpSync(at('src/console/page'), at('dist/src/console/page'), { recursive: true });
