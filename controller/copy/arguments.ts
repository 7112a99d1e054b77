/** What `sand cp` is told, as places: a path of the host, one of a guest, or a stream. Pure. */
import { posix } from 'node:path';
import { isGuestName } from '../guests/name.ts';
import { usage } from '../run/options.ts';

export type CopyPlace =
  | { readonly kind: 'host'; readonly path: string }
  | { readonly kind: 'guest'; readonly guest: string; readonly path: string }
  | { readonly kind: 'stream' };

export interface GuestSource {
  readonly folder: string;
  /** `.`: the contents of the folder. */
  readonly name: string;
}

export type CopyPlan =
  | {
      readonly direction: 'out';
      readonly guest: string;
      readonly from: GuestSource;
      /** Null: the archive itself, to standard output. */
      readonly to: string | null;
    }
  | {
      readonly direction: 'in';
      readonly guest: string;
      /** Null: an archive from standard input. */
      readonly from: string | null;
      /** Absolute; a `/` at its end means a folder. */
      readonly to: string;
    };

/** Exactly one of the two is in a guest. Raises `usage`. */
export function parseCopy(source: string, destination: string): CopyPlan {
  const from = parsePlace(source);
  const to = parsePlace(destination);
  if (from.kind === 'guest' && to.kind === 'host')
    return { direction: 'out', guest: from.guest, from: splitSource(from.path), to: to.path };
  if (from.kind === 'guest' && to.kind === 'stream')
    return { direction: 'out', guest: from.guest, from: splitSource(from.path), to: null };
  if (to.kind === 'guest' && from.kind !== 'guest')
    return { direction: 'in', guest: to.guest, from: from.kind === 'host' ? from.path : null, to: to.path };
  const both = from.kind === 'guest';
  throw usage(
    both ? 'both places are in guests' : 'neither place is in a guest',
    both ? 'copy to the host first, then into the other guest' : 'write GUEST:/PATH for one of the two',
  );
}

/** `GUEST:/PATH`, where what stands before the first colon can be a guest's name; `-`; else a path of the host. */
export function parsePlace(text: string): CopyPlace {
  if (text === '-') return { kind: 'stream' };
  if (text === '' || text.includes('\0'))
    throw usage('an empty path, or one with a NUL', 'name a file or folder');
  const colon = text.indexOf(':');
  const guest = colon < 0 ? '' : text.slice(0, colon);
  if (!isGuestName(guest)) return { kind: 'host', path: text };
  const path = text.slice(colon + 1);
  if (path.startsWith('/')) return { kind: 'guest', guest, path };
  throw usage(
    `${text}: a path in a guest is absolute`,
    `write ${guest}:/${path}, or ./${text} for a file of the host`,
  );
}

/** As docker has it: `/.` at the end means what the folder holds, and not the folder. */
export function splitSource(path: string): GuestSource {
  const whole = posix.normalize(path).replace(/(?<=.)\/$/, '');
  if (/\/\.\/?$/.test(path) || whole === '/') return { folder: whole, name: '.' };
  return { folder: posix.dirname(whole), name: posix.basename(whole) };
}

const SIZE = /^(\d{1,12})([kmgt]?)$/i;
const POWERS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4 };

/** `512m`, `20g`; a bare number is bytes. */
export function parseSize(flag: string, text: string): number {
  const [, digits = '', unit = ''] = SIZE.exec(text) ?? [];
  const bytes = Number(digits) * 1024 ** (POWERS[unit.toLowerCase()] ?? 0);
  if (digits !== '' && bytes > 0 && Number.isSafeInteger(bytes)) return bytes;
  throw usage(`${flag} ${text}: not a size`, `write for example ${flag} 512m or ${flag} 20g`);
}
