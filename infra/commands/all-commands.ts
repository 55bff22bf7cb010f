import type { CommandDefinition } from './command.ts';
import { pauseCommand, resumeCommand } from './pause.ts';
import { statusCommand } from './status.ts';

/** In the order of the help. */
export const COMMANDS: readonly CommandDefinition[] = [statusCommand, pauseCommand, resumeCommand];
