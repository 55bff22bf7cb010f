import { existsSync } from 'node:fs';
import path from 'node:path';
import { cacheFolder } from './cache.ts';

/** AWS without AWS: moto's server takes deployments, cfn-lint reads templates as CloudFormation does. */
export const PYTHON_TOOLS = ['moto[server,all]==5.2.5', 'cfn-lint==1.58.0'] as const;

/** A virtual environment of its own, outside the repo's tree; another one for other versions. */
export function pythonToolsFolder(): string {
  const versions = PYTHON_TOOLS.map((requirement) =>
    requirement.replace(/\[.*\]/, '').replace('==', '-'),
  );
  return path.join(cacheFolder(), versions.join('-'));
}

export function pythonTool(command: 'moto_server' | 'cfn-lint'): string {
  return path.join(pythonToolsFolder(), 'bin', command);
}

/** Written last, so that a folder with it is complete. */
export function pythonToolsStamp(): string {
  return path.join(pythonToolsFolder(), 'complete');
}

export function hasPythonTools(): boolean {
  return existsSync(pythonToolsStamp());
}
