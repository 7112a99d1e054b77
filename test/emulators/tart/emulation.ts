/** What tests do with the emulated `tart`: say what it is, give it images and VMs, and end everything of it. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeJson } from '../container/home.ts';
import { recordedProcesses, sendSignal, waitForEnd } from '../container/processes.ts';
import { defaultRoot, type TartHome, tartHomeOf } from './home.ts';
import { describeConfig, parseReference, publishedFile } from './images.ts';
import type { Settings } from './settings.ts';
import { type Config, type Disk, type GuestOs, randomMac, writeVm } from './vms.ts';

/** Put first in PATH, it makes `tart` the emulator. */
export const TART_BIN = fileURLToPath(new URL('../bin', import.meta.url));

/** Programs of Linux that macOS has not: a guest without them shows which of its set-up needs them. */
export const NOT_ON_MAC: readonly string[] = [
  ...['timeout', 'setsid', 'ip', 'ss', 'getent', 'setpriv', 'unshare', 'nsenter', 'flock', 'busybox'],
  ...['resolvectl', 'systemctl', 'update-ca-certificates', 'apt-get', 'free', 'pidof', 'tac', 'shuf'],
];

const END_MS = 5000;

export interface TartImage {
  readonly os: GuestOs;
  /** `/` is the host's own system, and the default; null an empty disk. */
  readonly root?: string | null;
  /** False for a `vanilla` image. */
  readonly hasAgent?: boolean;
  readonly without?: readonly string[];
  readonly diskGB?: number;
  readonly config?: Partial<Config>;
}

function describe(image: TartImage): { config: Config; disk: Disk } {
  const { os, root = '/', hasAgent = true, without = [], diskGB } = image;
  return {
    config: { ...describeConfig(os, randomMac()), ...image.config },
    disk: { root, hasAgent, without, sizeGB: diskGB ?? (os === 'darwin' ? 50 : 20) },
  };
}

/** What `clone` and `pull` find; `directory` is the HOME that the tool is called with. */
export function registerTartImage(directory: string, reference: string, image: TartImage): void {
  const home = tartHomeOf(defaultRoot(directory));
  writeJson(publishedFile(home, parseReference(reference)), describe(image));
}

/** A local VM, as if it had been cloned or created. */
export function registerTartVm(directory: string, name: string, image: TartImage): void {
  const { config, disk } = describe(image);
  writeVm(`${tartHomeOf(defaultRoot(directory)).vms}/${name}`, config, disk);
}

/** Writes `emulator.json`; faults begin to count anew. */
export function setTart(directory: string, settings: Partial<Settings>): void {
  const home = tartHomeOf(defaultRoot(directory));
  mkdirSync(home.root, { recursive: true });
  writeJson(home.settingsFile, settings);
  rmSync(home.countsFile, { force: true });
}

/** Ends every run, guest, `softnet` and hanging call of this HOME; resolves when none is left. */
export async function endTart(directory: string): Promise<void> {
  const home = tartHomeOf(defaultRoot(directory));
  // What is ended may have been about to start another.
  for (let targets = recordedProcesses(home); targets.length > 0; targets = left(home)) {
    for (const target of targets) sendSignal(target, 'SIGKILL');
    for (const target of targets) {
      if (!(await waitForEnd(target, END_MS)))
        throw new Error(`process ${target.pid} of the emulator does not end`);
      rmSync(`${home.processes}/${target.pid}`, { force: true });
    }
  }
}

function left(home: TartHome): ReturnType<typeof recordedProcesses> {
  return readdirSync(home.processes).length === 0 ? [] : recordedProcesses(home);
}
