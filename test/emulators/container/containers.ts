/** What the emulator keeps of a container, and what state it is in now: whether its helper lives decides. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from './failure.ts';
import { type Home, isMissing, isPresent, readJson, writeJson } from './home.ts';
import { isAlive, type ProcessIdentity } from './processes.ts';

export interface Mount {
  readonly type:
    | { readonly virtiofs: object }
    | { readonly tmpfs: object }
    | {
        readonly volume: {
          readonly name: string;
          readonly format: string;
          readonly cache: object;
          readonly sync: object;
        };
      };
  readonly source: string;
  readonly destination: string;
  readonly options: readonly string[];
}

export type User =
  | { readonly id: { readonly uid: number; readonly gid: number } }
  | { readonly raw: { readonly userString: string } };

export interface Process {
  readonly executable: string;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly terminal: boolean;
  readonly user: User;
  readonly supplementalGroups: readonly number[];
  readonly rlimits: readonly { readonly limit: string; readonly soft: number; readonly hard: number }[];
}

/** As the tool prints it. */
export interface Configuration {
  readonly id: string;
  readonly image: { readonly reference: string; readonly descriptor: object };
  readonly mounts: readonly Mount[];
  readonly publishedPorts: readonly object[];
  readonly publishedSockets: readonly object[];
  readonly labels: Readonly<Record<string, string>>;
  readonly sysctls: object;
  readonly networks: readonly object[];
  readonly dns?: {
    readonly nameservers: readonly string[];
    readonly domain?: string;
    readonly searchDomains: readonly string[];
    readonly options: readonly string[];
  };
  readonly rosetta: boolean;
  readonly initProcess: Process;
  readonly platform: object;
  readonly resources: { readonly cpus: number; readonly memoryInBytes: number; readonly cpuOverhead: number };
  readonly runtimeHandler: string;
  readonly virtualization: boolean;
  readonly ssh: boolean;
  readonly readOnly: boolean;
  readonly useInit: boolean;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly creationDate: string;
  readonly stopSignal?: string;
  readonly shmSize?: number;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
}

export interface ContainerRecord {
  readonly configuration: Configuration;
  readonly imageRoot: string;
  /** Over the root, the top one first. */
  readonly layers: readonly string[];
  readonly isRemovedAtEnd: boolean;
}

/** Written by the helper. */
export interface RunState {
  readonly helper: ProcessIdentity;
  readonly init: ProcessIdentity;
  readonly startedDate: string;
}

export interface Container extends ContainerRecord {
  readonly id: string;
  readonly folder: string;
  /** Null while it does not run. */
  readonly running: RunState | null;
}

export function folderOf(home: Home, id: string): string {
  return join(home.containers, id);
}

/** Making the folder is what makes a name taken. */
export function addContainer(home: Home, record: ContainerRecord): void {
  const { id } = record.configuration;
  mkdirSync(home.containers, { recursive: true });
  try {
    mkdirSync(folderOf(home, id));
  } catch (error) {
    if (isPresent(error)) throw new Failure(`container already exists: ${id}`);
    throw error;
  }
  writeJson(join(folderOf(home, id), 'record.json'), record);
}

export function findContainer(home: Home, id: string): Container | null {
  if (!/^[\w.-]+$/.test(id) || id.startsWith('.')) return null;
  const folder = folderOf(home, id);
  const record = readJson<ContainerRecord>(join(folder, 'record.json'));
  if (record === null) return null;
  const state = readJson<RunState>(join(folder, 'state.json'));
  const running = state !== null && isAlive(state.helper) && isAlive(state.init) ? state : null;
  return { ...record, id, folder, running };
}

export function requireContainer(home: Home, id: string): Container {
  const container = findContainer(home, id);
  if (container === null) throw new Failure(`container ${id} not found`);
  return container;
}

export function requireRunning(home: Home, id: string): Container & { readonly running: RunState } {
  const container = requireContainer(home, id);
  if (container.running === null) throw new Failure(`container ${id} is not running`);
  return { ...container, running: container.running };
}

export function listContainers(home: Home): readonly Container[] {
  try {
    return readdirSync(home.containers).flatMap((id) => findContainer(home, id) ?? []);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

export function removeContainer(home: Home, id: string): void {
  rmSync(folderOf(home, id), { recursive: true, force: true });
}
