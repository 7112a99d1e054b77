/**
 * The path of a plain-HTTP request, as rules judge it: dot segments removed and percent-decoded once, RFC 3986
 * sections 5.2.4 and 6.2.2. What two servers could read in two ways is refused, never guessed.
 */
import type { RequestPath } from './model.ts';

/** `target` is what stands in the request line: path and query, or `*`. The query is not judged. */
export function parseRequestPath(target: string): RequestPath {
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  if (!path.startsWith('/')) return refuse('the target is no path');
  if (/[^\x21-\x7e]/.test(path)) return refuse('the path holds bytes that are not ASCII');
  const kept: { readonly raw: string; readonly decoded: string }[] = [];
  const written = path.slice(1).split('/');
  for (const [at, raw] of written.entries()) {
    const read = decodeSegment(raw);
    if (!read.ok) return refuse(read.detail);
    const isLast = at === written.length - 1;
    const { decoded } = read;
    if (decoded === '' && !isLast) return refuse('the path has an empty segment, which many servers drop');
    if (decoded === '..') kept.pop();
    if (decoded !== '.' && decoded !== '..') kept.push({ raw, decoded });
    else if (isLast) kept.push({ raw: '', decoded: '' });
  }
  const query = question < 0 ? '' : target.slice(question);
  return {
    ok: true,
    segments: kept.map(({ decoded }) => decoded),
    sent: `/${kept.map(({ raw }) => raw).join('/')}${query}`,
  };
}

function refuse(detail: string): RequestPath {
  return { ok: false, detail };
}

type Segment =
  | { readonly ok: true; readonly decoded: string }
  | { readonly ok: false; readonly detail: string };

function decodeSegment(raw: string): Segment {
  const decoded = raw.includes('%') ? percentDecode(raw) : raw;
  if (decoded === null) return { ok: false, detail: 'the path has an escape that encodes no text' };
  if (/[/\\]/.test(decoded)) return { ok: false, detail: 'the path holds an encoded slash, or a backslash' };
  if (/\p{Cc}/u.test(decoded)) return { ok: false, detail: 'the path holds a control character' };
  if (/%[0-9A-Fa-f]{2}/.test(decoded)) return { ok: false, detail: 'the path is encoded twice' };
  // Some servers cut parameters off before they resolve dots.
  if (/^\.{1,2};/.test(decoded)) return { ok: false, detail: 'the path has a dot segment with a parameter' };
  return { ok: true, decoded };
}

/** Null where an escape is cut short or its bytes are not UTF-8. */
function percentDecode(raw: string): string | null {
  try {
    return decodeURIComponent(raw);
  } catch {
    return null;
  }
}
