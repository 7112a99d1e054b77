/**
 * Makes text from a guest safe for the place it goes to: one JSON line, or a terminal. Decides nothing about
 * HTML or Markdown, which have rules of their own.
 */

/** Controls (C0, C1, DEL), invisible and bidirectional formatting, line and paragraph separators. */
const UNSAFE_IN_JSON = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
/** The same, and lone surrogates, private-use and unassigned code points, whose look nobody can foretell. */
const UNSAFE_IN_TERMINAL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/**
 * Escapes what `JSON.stringify` leaves raw. Takes and gives JSON text on one line; the value is unchanged,
 * since JSON has such characters in strings only.
 */
export function escapeJson(json: string): string {
  if (PRINTABLE_ASCII.test(json)) return json;
  return json.replace(UNSAFE_IN_JSON, toUnicodeEscapes);
}

/** Text that moves no cursor, sets no colour and starts no line: every unsafe character is shown as an escape. */
export function escapeTerminal(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replace(UNSAFE_IN_TERMINAL, toVisibleEscape);
}

/** At most `limit` UTF-16 units, never half a surrogate pair; what was cut ends in `…`. */
export function clipText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  let end = limit - 1;
  const last = text.charCodeAt(end - 1);
  if (last >= 0xd800 && last <= 0xdbff) end -= 1;
  return `${text.slice(0, end)}…`;
}

function toUnicodeEscapes(character: string): string {
  let escaped = '';
  for (let i = 0; i < character.length; i += 1) {
    escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}

function toVisibleEscape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\u{${code.toString(16)}}`;
}
