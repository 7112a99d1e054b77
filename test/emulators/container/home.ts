/** Where the emulator keeps what it knows: below the HOME that it is started with, as the real tool does. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Home {
  readonly root: string;
  readonly containers: string;
  readonly images: string;
  readonly volumes: string;
  readonly networks: string;
  /** What `image pull` can find. */
  readonly registry: string;
  /** One file for each process that outlives its call. */
  readonly processes: string;
  readonly settingsFile: string;
  readonly countsFile: string;
  readonly systemFile: string;
}

export function homeOf(directory: string): Home {
  const root = join(directory, 'Library', 'Application Support', 'com.apple.container');
  return {
    root,
    containers: join(root, 'containers'),
    images: join(root, 'images'),
    volumes: join(root, 'volumes'),
    networks: join(root, 'networks'),
    registry: join(root, 'registry'),
    processes: join(root, 'processes'),
    settingsFile: join(root, 'emulator.json'),
    countsFile: join(root, 'counts.json'),
    systemFile: join(root, 'system.json'),
  };
}

/** Null where there is no such file. */
export function readJson<T>(file: string): T | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  return JSON.parse(text);
}

/** Whoever reads sees the old file or the new one, never a part. */
export function writeJson(file: string, value: unknown): void {
  const beside = `${file}.${process.pid}`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(beside, JSON.stringify(value));
  try {
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

export function isPresent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}
