/** A project folder of a test's own with policy files, the surroundings of a command in it, and golden output. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { Surroundings } from '../../../../controller/cli/policy/surroundings.ts';

export const NOW = '2026-11-22T12:00:00Z';

export interface Project {
  readonly folder: string;
  readonly surroundings: Surroundings;
  write(name: string, content: string | Uint8Array): string;
  read(name: string): string;
  /** What was printed since the last call, with the folder shown as /project. */
  output(): string;
  /** The same for people. */
  told(): string;
  remove(): void;
}

export function createProject(files: Readonly<Record<string, string>> = {}): Project {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'policy-')));
  mkdirSync(join(folder, '.git'));
  let output = '';
  let told = '';
  const write = (name: string, content: string | Uint8Array): string => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  };
  for (const [name, content] of Object.entries(files)) write(name, content);
  const shown = (text: string): string => text.replaceAll(folder, '/project');
  return {
    folder,
    surroundings: {
      cwd: folder,
      home: join(folder, 'home'),
      environ: {},
      nowMs: Date.parse(NOW),
      write: (text) => {
        output += text;
      },
      tell: (text) => {
        told += text;
      },
    },
    write,
    read: (name) => readFileSync(join(folder, name), 'utf8'),
    output: () => {
      const text = shown(output);
      output = '';
      return text;
    },
    told: () => {
      const text = shown(told);
      told = '';
      return text;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** `UPDATE_GOLDEN=1` rewrites the file; review the difference like code. */
export function expectGolden(name: string, actual: string): void {
  const file = new URL(`golden/${name}`, import.meta.url);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, actual);
  expect(actual).toBe(readFileSync(file, 'utf8'));
}
