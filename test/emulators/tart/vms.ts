/**
 * The VMs below `vms/`: their configuration, what their disks hold, and whether they run. The tool's run lock is a write lock on
 * config.json, which Node cannot take; here it is a file beside it that names the process, and counts while that one lives.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMissing, readJson, writeJson } from '../container/home.ts';
import { identify, isAlive, type ProcessIdentity } from '../container/processes.ts';
import { missingVm } from './call.ts';
import type { TartHome } from './home.ts';

export type GuestOs = 'darwin' | 'linux';

/** What `disk.img` holds, in place of a disk's bytes. */
export interface Disk {
  /** `/` is the host's own system, null an empty disk, from which nothing boots. */
  readonly root: string | null;
  readonly hasAgent: boolean;
  /** Programs of the root that the guest has not. */
  readonly without: readonly string[];
  readonly sizeGB: number;
}

/** As the tool writes it. */
export interface Config {
  readonly version: 1;
  readonly os: GuestOs;
  readonly arch: 'arm64';
  readonly cpuCountMin: number;
  readonly cpuCount: number;
  readonly memorySizeMin: number;
  readonly memorySize: number;
  readonly macAddress: string;
  readonly diskFormat: string;
  readonly display: { readonly width: number; readonly height: number; readonly unit?: string };
  readonly displayRefit?: boolean;
  readonly ecid?: string;
  readonly hardwareModel?: string;
}

export interface Vm {
  readonly name: string;
  readonly folder: string;
  readonly config: Config;
  readonly disk: Disk;
}

export type State = 'running' | 'suspended' | 'stopped';

export const MIB = 1024 ** 2;

/** Null where it is not there, or lacks a file. */
export function findVm(home: TartHome, name: string): Vm | null {
  return name === '' || name.includes('/') ? null : readVm(name, join(home.vms, name));
}

export function readVm(name: string, folder: string): Vm | null {
  const config = readJson<Config>(join(folder, 'config.json'));
  const disk = readJson<Disk>(join(folder, 'disk.img'));
  const isWhole = existsSync(join(folder, 'nvram.bin'));
  return config === null || disk === null || !isWhole ? null : { name, folder, config, disk };
}

export function requireVm(home: TartHome, name: string): Vm {
  const vm = findVm(home, name);
  if (vm === null) throw missingVm(name);
  return vm;
}

export function listVms(home: TartHome): readonly Vm[] {
  try {
    return readdirSync(home.vms)
      .sort()
      .flatMap((name) => findVm(home, name) ?? []);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

export function saveConfig({ folder }: Pick<Vm, 'folder'>, config: Config): void {
  writeJson(join(folder, 'config.json'), config);
}

export function saveDisk({ folder }: Pick<Vm, 'folder'>, disk: Disk): void {
  writeJson(join(folder, 'disk.img'), disk);
}

/** A folder with all that a VM consists of. */
export function writeVm(folder: string, config: Config, disk: Disk): void {
  mkdirSync(folder, { recursive: true });
  saveConfig({ folder }, config);
  saveDisk({ folder }, disk);
  writeFileSync(join(folder, 'nvram.bin'), '');
}

const LOCK = 'run.lock';
const SNAPSHOT = 'state.vzvmsave';

/** The process that runs it; null where it does not run. */
export function runnerOf({ folder }: Pick<Vm, 'folder'>): ProcessIdentity | null {
  const owner = readJson<ProcessIdentity>(join(folder, LOCK));
  return owner !== null && isAlive(owner) ? owner : null;
}

/** By this process; the caller holds the storage lock meanwhile. */
export function lockVm({ folder }: Pick<Vm, 'folder'>): void {
  writeJson(join(folder, LOCK), identify(process.pid));
}

export function unlockVm({ folder }: Pick<Vm, 'folder'>): void {
  rmSync(join(folder, LOCK), { force: true });
}

export function stateOf(vm: Pick<Vm, 'folder'>): State {
  if (runnerOf(vm) !== null) return 'running';
  return existsSync(join(vm.folder, SNAPSHOT)) ? 'suspended' : 'stopped';
}

export function writeSnapshot({ folder }: Pick<Vm, 'folder'>): void {
  writeFileSync(join(folder, SNAPSHOT), '');
}

export function deleteSnapshot({ folder }: Pick<Vm, 'folder'>): void {
  rmSync(join(folder, SNAPSHOT), { force: true });
}

/** Locally administered, of one card alone. */
export function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function accessedAt({ folder }: Pick<Vm, 'folder'>): Date {
  return statSync(join(folder, 'config.json')).mtime;
}
