/**
 * Where an entry of a guest's archive may lie on the host, and what of it is left out: names that lead elsewhere, links
 * out of the copy, and what the host would run by itself. Pure; `tree-writer.ts` holds it against the file system.
 */
import { escapeTerminal } from '../../audit/escape.ts';
import { foldName } from '../guest/name-fold.ts';
import { PROTECTED_NAMES } from '../guest/protected-names.ts';
import { type ByteText, refused, type TarEntry } from './tar-reader.ts';

/** What was asked for: the contents of a folder, or one thing, which gets another name on the host. */
export type CopyRoot =
  | { readonly kind: 'contents' }
  | { readonly kind: 'one'; readonly name: ByteText; readonly as: ByteText };

export type EntryPlace =
  | { readonly ok: true; readonly path: readonly ByteText[] }
  /** Not copied, and told. */
  | { readonly ok: false; readonly because: string };

/**
 * Fail closed: raises `copy-refused` for a name that no honest tar makes of what was asked for. An empty path is the
 * folder that the copy goes to.
 */
export function placeEntry({ kind, name, target }: TarEntry, root: CopyRoot): EntryPlace {
  if (name.startsWith('/')) throw refused(`a name is absolute (${show(name)})`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.') as ByteText[];
  if (parts.includes('..' as ByteText)) throw refused(`a name leads upward (${show(name)})`);
  const [first, ...below] = parts;
  if (root.kind === 'one' && first !== root.name) throw refused(`${show(name)} was not asked for`);
  const inner = root.kind === 'one' ? below : parts;
  const path = root.kind === 'one' ? [root.as, ...below] : parts;
  // What `.git` names, where it is no folder, is a repository of the guest's choosing.
  const isElsewhere = kind !== 'folder' && foldBytes(inner.at(-1) ?? '') === '.git';
  if (isElsewhere || isRunByHost(inner))
    return { ok: false, because: 'the host would run or trust it; name it itself to copy it' };
  if (kind === 'special') return { ok: false, because: 'it is no file, folder or link' };
  if (kind === 'hard-link') return { ok: false, because: 'it is a hard link' };
  if (kind === 'symlink' && !staysInside(target, inner.length - 1))
    return { ok: false, because: `it is a link that leads out of the copy, to ${show(target)}` };
  return { ok: true, path };
}

/** Escaped for a terminal. */
export function show(name: ByteText): string {
  return escapeTerminal(Buffer.from(name, 'latin1').toString('utf8'));
}

/** By every spelling: some file systems do not tell capitals apart. */
const RUN_BY_HOST = PROTECTED_NAMES.map((name) => foldName(name).split('/'));

/** At whatever depth: a folder that is copied may become a project of its own. */
function isRunByHost(path: readonly string[]): boolean {
  const folded = path.map(foldBytes);
  return folded.some((_, at) => RUN_BY_HOST.some((name) => name.every((part, n) => folded[at + n] === part)));
}

function foldBytes(part: string): string {
  return foldName(Buffer.from(part, 'latin1').toString('utf8'));
}

/**
 * `depth` folders up is the top of the copy. Upward steps stand first only: behind another link, as in `link/..`, they
 * would begin somewhere else.
 */
function staysInside(target: ByteText, depth: number): boolean {
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const ups = parts.findIndex((part) => part !== '..');
  const leading = ups < 0 ? parts.length : ups;
  return !target.startsWith('/') && target !== '' && leading <= depth && !parts.slice(leading).includes('..');
}
