/**
 * Single files of the host's for a guest whose tool shares nothing but folders: each in a folder of its own kind, which is all
 * that the guest's machine sees of its surroundings.
 */
import { chmodSync, copyFileSync, linkSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SandError } from '../errors.ts';
import type { MountSpec } from './backend.ts';

export interface StagedFolder {
  readonly name: 'written' | 'read';
  /** On the host. */
  readonly source: string;
  readonly writable: boolean;
  /** What each is called there, and where it belongs in the guest. */
  readonly files: readonly { readonly name: string; readonly target: string }[];
}

/**
 * A link, so that what the host writes into a file shows; a copy where the disk is another. Raises `workspace-refused` for one
 * that is to be written and cannot be linked.
 */
export function stageFiles(files: readonly MountSpec[], folder: string): readonly StagedFolder[] {
  const kinds = [
    { name: 'written', writable: true },
    { name: 'read', writable: false },
  ] as const;
  return kinds.flatMap(({ name, writable }) => {
    const own = files.filter((file) => file.writable === writable);
    if (own.length === 0) return [];
    const source = join(folder, name);
    mkdirSync(source, { mode: 0o700 });
    const staged = own.map((file, at) => {
      const called = `${at}-${basename(file.source)}`;
      stageFile(file, join(source, called));
      return { name: called, target: file.target };
    });
    return [{ name, source, writable, files: staged }];
  });
}

function stageFile({ source, writable }: MountSpec, to: string): void {
  try {
    linkSync(source, to);
  } catch (error) {
    if (writable) {
      throw new SandError(
        'workspace-refused',
        `the file ${source} cannot be given to the guest to write by itself (${error instanceof Error ? error.message : error})`,
        'mount its folder, or add :ro',
      );
    }
    copyFileSync(source, to);
    chmodSync(to, 0o444);
  }
}
