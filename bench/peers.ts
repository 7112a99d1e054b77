/** Where the programs to compare with come from: Debian's packages by their command, npm's fetched into a folder. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './workplace.ts';

/** A registry that does not answer by then is not there. */
const FETCH_TIMEOUT_MS = 60_000;

export type Found<T> =
  | { readonly ok: true; readonly value: T }
  /** `why` completes "skipped: …". */
  | { readonly ok: false; readonly why: string };

export interface NpmPackage {
  /** Where it is unpacked. */
  readonly folder: string;
  readonly version: string;
}

/** Fetches the newest version into `folder`; runs none of its scripts. */
export function fetchPackage(name: string, folder: string): Found<NpmPackage> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"private": true}\n');
  const args = [
    'install',
    '--prefix',
    folder,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--silent',
    name,
  ];
  try {
    execFileSync('npm', args, { cwd: folder, stdio: 'ignore', timeout: FETCH_TIMEOUT_MS });
    const place = join(folder, 'node_modules', name);
    const { version } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8')) as { version: string };
    return { ok: true, value: { folder: place, version } };
  } catch (error) {
    const detail = error instanceof Error ? error.message.split('\n', 1).join('') : String(error);
    return { ok: false, why: `npm could not fetch ${name} (${detail})` };
  }
}

/** Whether all commands are there; else which Debian packages bring them. */
export function requirePrograms(packages: Readonly<Record<string, string>>): Found<null> {
  const missing = Object.entries(packages).filter(([command]) => findProgram(command) === null);
  if (missing.length === 0) return { ok: true, value: null };
  const names = missing.map(([, name]) => name).join(' ');
  return { ok: false, why: `needs ${names} (apt-get install ${names})` };
}
