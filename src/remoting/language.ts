/** Names by number, as the binary header counts them. Mirrors LanguageCode. */
const LANGUAGES = [
  'JAVA',
  'CPP',
  'DOTNET',
  'PYTHON',
  'DELPHI',
  'ERLANG',
  'RUBY',
  'OTHER',
  'HTTP',
  'GO',
  'PHP',
  'OMS',
  'RUST',
  'NODE_JS',
] as const;

export const OTHER_LANGUAGE = 'OTHER';

export function languageName(code: number): string {
  return LANGUAGES[code] ?? OTHER_LANGUAGE;
}

export function languageCode(name: string): number {
  const code = (LANGUAGES as readonly string[]).indexOf(name);
  return code === -1 ? LANGUAGES.indexOf(OTHER_LANGUAGE) : code;
}
