/** How a VM comes about beside the others: made below `tmp/`, then moved over whatever has its name. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isMissing, readJson, writeJson } from '../container/home.ts';
import { withLock } from '../container/lock.ts';
import { identify, isAlive, type ProcessIdentity } from '../container/processes.ts';
import type { TartHome } from './home.ts';

const MAKER = 'maker.lock';

/** `make` fills the folder; where it fails, or is interrupted, nothing has changed. */
export async function install(
  home: TartHome,
  name: string,
  make: (folder: string) => Promise<void> | void,
): Promise<void> {
  const folder = join(home.temporary, randomUUID().toUpperCase());
  mkdirSync(folder, { recursive: true });
  writeJson(join(folder, MAKER), identify(process.pid));
  const cancel = () => {
    rmSync(folder, { recursive: true, force: true });
    process.stderr.write('Error: CancellationError()\n');
    process.exit(1);
  };
  process.once('SIGINT', cancel);
  try {
    await make(folder);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    process.off('SIGINT', cancel);
  }
  mkdirSync(home.vms, { recursive: true });
  const target = join(home.vms, name);
  rmSync(target, { recursive: true, force: true });
  rmSync(join(folder, MAKER));
  renameSync(folder, target);
}

/** As a lock of the tool's home: clones, and the beginning of a run, go one after the other. */
export function withStorage<T>(home: TartHome, run: () => Promise<T>): Promise<T> {
  return withLock(home, 'storage', run);
}

/** What nobody is making any more. */
export function collectGarbage(home: TartHome): void {
  try {
    for (const entry of readdirSync(home.temporary)) {
      const folder = join(home.temporary, entry);
      const maker = readJson<ProcessIdentity>(join(folder, MAKER));
      if (maker === null || !isAlive(maker)) rmSync(folder, { recursive: true, force: true });
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
