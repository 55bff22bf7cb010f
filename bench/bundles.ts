import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { bundle } from '../infra/bundle.ts';
import { coordinatorEntry, pullerEntry } from '../infra/entries.ts';
import { benchSource } from './puller-setup.ts';
import { median, type Row } from './report.ts';

const IMPORTS = 15;

/** Bytes of the deployed modules and the time that a fresh Node takes to import them. */
export async function measureBundles(note: (row: Row) => void): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'bundles-'));
  const config = {
    service: 'bench',
    stage: 'bench',
    clusters: { default: { nameServers: ['127.0.0.1:9876'] } },
    sources: [benchSource('orders', 'workers', 100)],
  };
  try {
    for (const [functionKey, entry] of Object.entries({
      coordinator: coordinatorEntry(config),
      puller: pullerEntry(config, []),
    })) {
      const outDir = path.join(folder, functionKey);
      await bundle({
        functionKey,
        entry,
        resolveDir: fileURLToPath(new URL('..', import.meta.url)),
        outDir,
      });
      const file = path.join(outDir, 'index.mjs');
      const bytes = await readFile(file);
      note({ what: `bundle, ${functionKey}`, value: Math.round(bytes.length / 1024), unit: 'KiB' });
      note({
        what: `bundle gzipped, ${functionKey}`,
        value: Math.round(gzipSync(bytes).length / 1024),
        unit: 'KiB',
      });
      note({
        what: `cold import, ${functionKey}`,
        value: Math.round(median(Array.from({ length: IMPORTS }, () => importTime(file)))),
        unit: 'ms',
      });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function importTime(file: string): number {
  const script = `const t=performance.now();await import(${JSON.stringify(file)});console.log(performance.now()-t)`;
  return Number(
    spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).stdout,
  );
}
