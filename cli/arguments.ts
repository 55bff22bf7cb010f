import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../src/config/nearest.ts';
import { print, printError } from './print.ts';

/** What a command takes, and how it says so. */
export interface CommandLine<O extends NonNullable<ParseArgsConfig['options']>> {
  /** The whole help text; its first line is shown beside every complaint. */
  readonly help: string;
  readonly options: O;
  /** How many words beside the options, at least and at most. */
  readonly words?: readonly [number, number];
}

/** A command line read as its command wants it. --help and -h print the help and end with 0; what is wrong is told and ends with 2. */
export function readArguments<const O extends NonNullable<ParseArgsConfig['options']>>({
  help,
  options,
  words = [0, 0],
}: CommandLine<O>) {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h') || args.join() === 'help') {
    print(help);
    process.exit(0);
  }
  const [usage = ''] = help.split('\n');
  const refuse = (why: string): never => {
    printError(`${why}\n${usage}`);
    process.exit(2);
  };
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    if (positionals.length < words[0] || positionals.length > words[1])
      return refuse(
        positionals.length > words[1]
          ? `"${positionals[words[1]]}" is one word too many`
          : 'something is missing',
      );
    return { values, words: positionals, refuse };
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const [, name = ''] = /'(-[^' ]+)/.exec(message) ?? [];
    const names = Object.keys(options).map((option) => `--${option}`);
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      const meant = nearest(name, names);
      return refuse(
        `${name} is not an option${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      );
    }
    const given = args.join(' ').slice(args.join(' ').indexOf(name));
    return refuse(`${given}: ${name} needs a value that does not begin with a dash`);
  }
}

/** `a:9876;b:9876` as addresses; undefined when one of them is none. */
export function addressesIn(text: string): string[] | undefined {
  const addresses = text.split(/[;,]/).filter((address) => address !== '');
  const good =
    addresses.length > 0 &&
    addresses.every((address) => /^(\[[0-9a-fA-F:.%]+\]|[^\s:[\]/@]+):\d{1,5}$/.test(address));
  return good ? addresses : undefined;
}
