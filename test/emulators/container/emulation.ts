/** What tests do with the emulator: say what it is, give it images, and end everything of it. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listContainers } from './containers.ts';
import { type Home, homeOf, writeJson } from './home.ts';
import { type ImageConfig, normalizeReference, type RegistryEntry, registryName } from './images.ts';
import { recordedProcesses, sendSignal, waitForEnd } from './processes.ts';
import type { Settings } from './settings.ts';

/** Put first in PATH, it makes `container` the emulator. */
export const EMULATOR_BIN = fileURLToPath(new URL('../bin', import.meta.url));

const END_MS = 5000;

/** What `image pull` finds: a root folder (`/` is the host's own system) or an OCI archive. */
export interface RegisteredImage {
  readonly root?: string;
  readonly archive?: string;
  readonly config?: ImageConfig;
}

export function registerImage(directory: string, text: string, image: RegisteredImage): void {
  const reference = normalizeReference(text);
  const entry: RegistryEntry = { reference, ...image };
  writeJson(join(homeOf(directory).registry, registryName(reference)), entry);
}

/** Writes `emulator.json`; faults begin to count anew. */
export function setEmulator(directory: string, settings: Partial<Settings>): void {
  const home = homeOf(directory);
  mkdirSync(home.root, { recursive: true });
  writeJson(home.settingsFile, settings);
  rmSync(home.countsFile, { force: true });
}

/** Ends every guest, helper and hanging call of this HOME; resolves when none is left. */
export async function endEmulator(directory: string): Promise<void> {
  const home = homeOf(directory);
  const targets = [...runningOf(home), ...recordedProcesses(home)];
  for (const target of targets) sendSignal(target, 'SIGKILL');
  for (const target of targets) {
    if (!(await waitForEnd(target, END_MS)))
      throw new Error(`process ${target.pid} of the emulator does not end`);
  }
  rmSync(home.processes, { recursive: true, force: true });
}

function runningOf(home: Home) {
  return listContainers(home).flatMap(({ running }) =>
    running === null ? [] : [running.init, running.helper],
  );
}
