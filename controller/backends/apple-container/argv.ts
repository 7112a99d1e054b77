/**
 * Every argument list that Apple's `container` is run with. Values with a meaning of their own for its parser are
 * attached or behind `--`, so that no text of a caller or of a guest becomes an option. Pure.
 */
import { SandError } from '../../errors.ts';
import { RELAY_PLACES } from '../../links/relay/relay-program.ts';
import type { MountSpec } from '../backend.ts';

/** Carries the run's id on everything that sand makes there. */
export const RUN_LABEL = 'dev.sand.run';
/** Where the guest's own resolver asks: the relay, in the guest. */
export const NAMESERVER = '127.0.0.1';

/** Where single files of the host lie in the guest, before the relay puts each at its place. */
export const STAGED_FOLDER = '/.sand/files';

/** For the relay, until it has set up. Nothing that it starts has them. */
const SET_UP_CAPABILITIES = ['NET_ADMIN', 'NET_RAW', 'SYS_ADMIN'] as const;
/** What a guest's root needs to install packages, and to become its own users. */
const KEPT_CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'SETFCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
] as const;

export interface ContainerPlan {
  readonly name: string;
  readonly run: string;
  readonly image: string;
  /** `linux/amd64`, `linux/arm64`; Rosetta translates the one that the machine's kernel is not of. */
  readonly platform: string;
  /** Folder on the host that holds the relay and nothing else. */
  readonly programFolder: string;
  readonly proxySocket: string;
  readonly dnsSocket: string;
  /** Folders of the host. */
  readonly mounts: readonly MountSpec[];
  /** Named volumes of the tool, by where they are mounted. */
  readonly volumes: readonly { readonly name: string; readonly target: string }[];
  readonly cpus: number | null;
  readonly memoryMiB: number | null;
  readonly readOnly: boolean;
  /** What the relay is told when it begins. */
  readonly serve: readonly string[];
}

/** Raises `workspace-refused` for a path that the tool cannot be told. */
export function planCreate(plan: ContainerPlan): readonly string[] {
  return [
    'create',
    ...['--name', plan.name, '--label', `${RUN_LABEL}=${plan.run}`],
    // Without it the guest would have the whole Internet.
    ...['--network', 'none', '--dns', NAMESERVER],
    ...['--cap-drop', 'ALL'],
    ...[...SET_UP_CAPABILITIES, ...KEPT_CAPABILITIES].flatMap((name) => ['--cap-add', name]),
    ...volume(plan.proxySocket, RELAY_PLACES.proxySocket, true),
    ...volume(plan.dnsSocket, RELAY_PLACES.dnsSocket, true),
    ...volume(plan.programFolder, RELAY_PLACES.folder, false),
    ...plan.mounts.flatMap(({ source, target, writable }) => volume(source, target, writable)),
    ...plan.volumes.flatMap(({ name, target }) => volume(name, target, true)),
    ...(plan.cpus === null ? [] : ['--cpus', `${plan.cpus}`]),
    ...(plan.memoryMiB === null ? [] : ['--memory', `${plan.memoryMiB}M`]),
    ...(plan.readOnly ? ['--read-only'] : []),
    ...['--platform', plan.platform],
    ...['--user', '0:0', '--workdir', '/', '--entrypoint', RELAY_PLACES.program],
    ...['--', plan.image, ...plan.serve],
  ];
}

/** The tool splits at colons and has no way to write one that is meant. */
function volume(source: string, target: string, writable: boolean): readonly string[] {
  const unsayable = [source, target].find((path) => /[:\u0000-\u001f]/.test(path));
  if (unsayable !== undefined) {
    throw new SandError(
      'workspace-refused',
      `${JSON.stringify(unsayable)} cannot be mounted: Apple\u2019s container knows no path with a colon`,
      'rename that folder, or mount it by another path',
    );
  }
  return ['-v', `${source}:${target}${writable ? '' : ':ro'}`];
}

export interface ContainerExec {
  readonly name: string;
  /** Whether standard input is passed on. */
  readonly interactive: boolean;
  readonly terminal: boolean;
  /** Names of variables that the tool takes from its own environment. */
  readonly variables: readonly string[];
  /** Program and arguments, in the guest. */
  readonly command: readonly string[];
}

export function planExec({
  name,
  interactive,
  terminal,
  variables,
  command,
}: ContainerExec): readonly string[] {
  return [
    'exec',
    ...(interactive ? ['-i'] : []),
    ...(terminal ? ['-t'] : []),
    ...['--user', '0:0', '--workdir', '/'],
    ...variables.flatMap((variable) => ['-e', variable]),
    ...['--', name, ...command],
  ];
}

export function planInspect(name: string): readonly string[] {
  return ['inspect', '--', name];
}

export function planStart(name: string): readonly string[] {
  return ['start', '--', name];
}

/** By name: signals to the tool itself do not arrive in the guest. Whole seconds. */
export function planStop(name: string, graceMs: number): readonly string[] {
  return ['stop', '--time', `${Math.ceil(graceMs / 1000)}`, '--', name];
}

export function planDelete(name: string): readonly string[] {
  return ['delete', '--force', '--', name];
}

export const LIST = ['ls', '--all', '--format', 'json'] as const;
export const STATUS = ['system', 'status', '--format', 'json'] as const;
export const VERSIONS = ['system', 'version', '--format', 'json'] as const;
