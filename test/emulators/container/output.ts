/** Prints values as the emulated version of the tool does: JSON with sorted keys, or a table. */

/** Seconds from 1970 to 2001, where the older versions' dates begin. */
const REFERENCE_SECONDS = 978_307_200;

export function isoDate(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** How a date stands in container and network output of 0.x. */
export function referenceSeconds(iso: string): number {
  return Date.parse(iso) / 1000 - REFERENCE_SECONDS;
}

/** On one line, as `ls`. */
export function compactJson(value: unknown): string {
  return escapeSlashes(JSON.stringify(sorted(value)));
}

/** As `inspect`: two spaces, and a space before each colon. */
export function prettyJson(value: unknown): string {
  return escapeSlashes(pretty(sorted(value), ''));
}

function escapeSlashes(text: string): string {
  return text.replaceAll('/', '\\/');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]),
  );
}

function pretty(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  const parts = Array.isArray(value)
    ? value.map((item) => pretty(item, inner))
    : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)} : ${pretty(item, inner)}`);
  if (parts.length === 0) return `${open}\n\n${indent}${close}`;
  return `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${indent}${close}`;
}

export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
