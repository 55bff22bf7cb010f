import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { BuildFailure } from 'esbuild';
import { type ZippableFile, zipSync } from 'fflate';
import { ConfigError } from '../src/errors.ts';

/** Bundled CommonJS dependencies (pino, parts of the AWS SDK) use what ES modules do not have. */
const BANNER = [
  "import{createRequire as __createRequire}from'node:module'",
  "import{fileURLToPath as __fileURLToPath}from'node:url'",
  "import{dirname as __pathDirname}from'node:path'",
  'const require=__createRequire(import.meta.url),__filename=__fileURLToPath(import.meta.url),__dirname=__pathDirname(__filename);',
].join(';');
/** The earliest time that zip files know, so that equal content makes equal zips and Serverless sees no change. */
const ZIP_TIME = new Date(1980, 0, 1);
const REGULAR_FILE = 0o100644 << 16;
const UNIX = 3;

export interface BundleRequest {
  /** Names the function in errors, and its directory. */
  readonly functionKey: string;
  /** The entry's text, in JavaScript. */
  readonly entry: string;
  /** Where the entry's imports are resolved from. */
  readonly resolveDir: string;
  readonly outDir: string;
}

/**
 * Makes `<outDir>/index.mjs` and its source map: one ES module with everything in it.
 * @throws ConfigError with esbuild's findings when the entry or something that it imports cannot be bundled
 */
export async function bundle({
  functionKey,
  entry,
  resolveDir,
  outDir,
}: BundleRequest): Promise<void> {
  // esbuild starts a process of its own: loaded only by the commands that bundle.
  const { build, formatMessages } = await import('esbuild');
  try {
    await build({
      stdin: { contents: entry, resolveDir, sourcefile: `${functionKey}-entry.js` },
      outfile: path.join(outDir, 'index.mjs'),
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node22',
      mainFields: ['module', 'main'],
      minify: true,
      keepNames: true,
      sourcemap: 'linked',
      sourcesContent: false,
      banner: { js: BANNER },
      logLevel: 'silent',
    });
  } catch (error) {
    const { errors } = error as Partial<BuildFailure>;
    if (errors === undefined) throw error;
    const messages = await formatMessages(errors, { kind: 'error', color: false });
    throw new ConfigError(
      `functions.${functionKey}.handler cannot be bundled:\n${messages.join('').trim()}`,
    );
  }
}

/** Packs the files of a directory (without sub-directories) into a zip that depends on nothing but their names and bytes. */
export async function zipDirectory(directory: string, zipFile: string): Promise<void> {
  const names = (await readdir(directory)).sort();
  const files = await Promise.all(
    names.map(
      async (name): Promise<[string, ZippableFile]> => [
        name,
        [
          await readFile(path.join(directory, name)),
          { mtime: ZIP_TIME, os: UNIX, attrs: REGULAR_FILE },
        ],
      ],
    ),
  );
  await mkdir(path.dirname(zipFile), { recursive: true });
  await writeFile(zipFile, zipSync(Object.fromEntries(files), { level: 9 }));
}
