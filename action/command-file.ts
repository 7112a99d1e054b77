/**
 * The files by which a step sets variables and outputs, read by the runner's own grammar (actions/runner,
 * FileCommandManager.cs), and written so that no value can end its own entry. Pure.
 */

export interface Entry {
  readonly name: string;
  readonly value: string;
}

export type Entries =
  | { readonly ok: true; readonly entries: readonly Entry[] }
  | { readonly ok: false; readonly line: number; readonly message: string };

/** `NAME=VALUE`, or `NAME<<DELIMITER`, lines, `DELIMITER`. As with the runner, one wrong line spoils the whole file. */
export function parseEntries(text: string): Entries {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const entries: Entry[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (line === '') continue;
    const equals = line.indexOf('=');
    const heredoc = line.indexOf('<<');
    if (equals >= 0 && (heredoc < 0 || equals < heredoc)) {
      if (equals === 0) return wrong(at, 'the name is empty');
      entries.push({ name: line.slice(0, equals), value: line.slice(equals + 1) });
      continue;
    }
    if (heredoc < 0) return wrong(at, 'neither NAME=VALUE nor NAME<<DELIMITER');
    const delimiter = line.slice(heredoc + 2);
    if (heredoc === 0 || delimiter === '') return wrong(at, 'the name or the delimiter is empty');
    const end = lines.indexOf(delimiter, at + 1);
    if (end < 0) return wrong(at, 'the delimiter does not come again');
    entries.push({ name: line.slice(0, heredoc), value: lines.slice(at + 1, end).join('\n') });
    at = end;
  }
  return { ok: true, entries };
}

function wrong(at: number, message: string): Entries {
  return { ok: false, line: at + 1, message };
}

/** `delimiter` is one that nobody could foresee, so that no line of the value is it. */
export function formatEntry({ name, value }: Entry, delimiter: string): string {
  if (value.split('\n').includes(delimiter) || name.includes('<<') || /[=\r\n]/.test(name)) {
    throw new Error('a value that holds its own delimiter, or a name that is none');
  }
  return `${name}<<${delimiter}\n${value}\n${delimiter}\n`;
}
