/**
 * The lines by which a step speaks to the runner, as the runner reads them (actions/runner, ActionCommand.cs): what is
 * escaped in their data and properties, and how everything that a guest prints is kept from being such a line. Pure.
 */
import { escapeTerminal } from '../audit/escape.ts';

export type Level = 'error' | 'warning' | 'notice';

export interface Annotation {
  readonly level: Level;
  readonly title: string;
  readonly message: string;
  /** Relative to the workspace. */
  readonly file?: string | undefined;
  readonly line?: number | undefined;
}

/** The runner turns these back into line ends and percent signs, `%25` last. */
export function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** A property ends at a comma, and the properties at `::`. */
export function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/** One line. Line ends in `data` stay line ends; `properties` that are undefined are left out. */
export function formatCommand(
  name: string,
  properties: Readonly<Record<string, string | undefined>>,
  data: string,
): string {
  const pairs = Object.entries(properties).flatMap(([key, value]) =>
    value === undefined || value === '' ? [] : [`${key}=${escapeProperty(value)}`],
  );
  return `::${name}${pairs.length > 0 ? ` ${pairs.join(',')}` : ''}::${escapeData(data)}\n`;
}

/** Controls and invisible characters of a guest's text are shown; only line ends of `message` are kept. */
export function formatAnnotation({ level, title, message, file, line }: Annotation): string {
  const properties = {
    title: escapeTerminal(title),
    file: file === undefined ? undefined : escapeTerminal(file),
    line: line === undefined ? undefined : String(line),
  };
  return formatCommand(level, properties, message.split('\n').map(escapeTerminal).join('\n'));
}

/** A line for people that is no command, whatever stands in it: the old form counts anywhere in a line. */
export function formatLine(text: string): string {
  const safe = escapeTerminal(text).replaceAll('##[', '# #[');
  return `${/^\s*::/.test(safe) ? '· ' : ''}${safe}\n`;
}

/** From here to `resumeCommands` with the same token the runner reads nothing as a command. */
export function stopCommands(token: string): string {
  return `::stop-commands::${token}\n`;
}

export function resumeCommands(token: string): string {
  return `::${token}::\n`;
}
