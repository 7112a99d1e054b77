/**
 * The files between the action and the runner, and between the action and a guest. A file that a guest writes is read without
 * following links, and never beyond its bound.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type Entry, formatEntry } from './command-file.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Nothing where the runner gives no such file. */
export function appendEntries(path: string | undefined, entries: readonly Entry[]): void {
  if (path === undefined || path === '' || entries.length === 0) return;
  appendFileSync(path, entries.map((entry) => formatEntry(entry, freshDelimiter())).join(''));
}

export function appendLines(path: string | undefined, lines: readonly string[]): void {
  if (path === undefined || path === '' || lines.length === 0) return;
  appendFileSync(path, lines.map((line) => `${line}\n`).join(''));
}

export function appendText(path: string | undefined, text: string): void {
  if (path === undefined || path === '' || text === '') return;
  appendFileSync(path, text);
}

function freshDelimiter(): string {
  return `sand_${freshToken()}`;
}

/** Nobody can foresee it. */
export function freshToken(): string {
  return randomBytes(20).toString('hex');
}

/** Null: it is no regular file, cannot be read, or is larger than `limit`. Fail closed: then nothing of it counts. */
export function readBounded(path: string, limit: number): string | null {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const { size } = fstatSync(file);
    if (!fstatSync(file).isFile() || size > limit) return null;
    const bytes = Buffer.alloc(size);
    let read = 0;
    while (read < size) {
      const count = readSync(file, bytes, read, size - read, read);
      if (count === 0) break;
      read += count;
    }
    return bytes.subarray(0, read).toString('utf8');
  } finally {
    closeSync(file);
  }
}
