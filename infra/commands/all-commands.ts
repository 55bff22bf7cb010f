import type { CommandDefinition } from './command.ts';
import { dlqCommands } from './dlq.ts';
import {
  configCommand,
  connectionsCommand,
  costCommand,
  doctorCommand,
  invokeCommand,
  sendCommand,
  tailCommand,
} from './more.ts';
import { pauseCommand, resumeCommand } from './pause.ts';
import { getCommand, peekCommand } from './peek.ts';
import { resetCommand, skipCommand } from './reset.ts';
import { statusCommand } from './status.ts';
import { traceCommand } from './trace.ts';

/** In the order of the help. */
export const COMMANDS: readonly CommandDefinition[] = [
  statusCommand,
  pauseCommand,
  resumeCommand,
  resetCommand,
  skipCommand,
  peekCommand,
  getCommand,
  traceCommand,
  ...dlqCommands,
  doctorCommand,
  connectionsCommand,
  invokeCommand,
  sendCommand,
  tailCommand,
  costCommand,
  configCommand,
];
