/**
 * A project file and the flags beside it → what is asked for, with the place that each setting comes from. Flags beat the
 * file and lists add, but for policies, phases and the command: what a flag says of those stands in place of the file's. Pure.
 */
import { resolve } from 'node:path';
import type { Isolation, Share } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import type { ImagePlatform } from '../images/config.ts';
import type { MountFlag } from '../run/options.ts';
import type { VolumeFlag } from '../volumes/volume-flag.ts';
import {
  formatPlace,
  type Placed,
  type ProjectFile,
  RESOURCES,
  type Resource,
  type Variable,
} from './model.ts';
import { absoluteImage, absolutePolicy, absoluteSecret, readSecretText } from './paths.ts';

/** What flags and file together ask for, in the words of the flags. Null and empty: nobody says. */
export interface AskedSettings {
  readonly name: string | null;
  readonly backend: string | null;
  readonly image: string | null;
  readonly platform: ImagePlatform | null;
  readonly isolation: Isolation | null;
  readonly user: string | null;
  readonly readOnly: boolean | null;
  readonly policies: readonly string[];
  readonly mounts: readonly MountFlag[];
  readonly volumes: readonly VolumeFlag[];
  readonly workdir: string | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly shares: readonly Share[];
  readonly secrets: readonly string[];
  readonly ports: readonly string[];
  readonly trustCa: readonly string[];
  readonly cache: boolean | null;
  readonly resources: Readonly<Record<Resource, string | null>>;
  readonly timeoutMs: number | null;
  readonly phaseAfter: readonly string[];
  /** Empty: none. */
  readonly command: readonly string[];
}

export interface SettingOrigin {
  /** A key of the file. */
  readonly setting: string;
  /** `sand.yaml:3:5`, or the flag. */
  readonly from: string;
}

export interface MergedSettings {
  readonly asked: AskedSettings;
  readonly origins: readonly SettingOrigin[];
}

export interface MergeContext {
  /** Absolute: what the file's paths are relative to. */
  readonly folder: string;
  readonly caller: Readonly<Record<string, string | undefined>>;
}

/** The file without what flags say in its place: this alone takes effect, so this alone is consented to. */
export function remainderOf(file: ProjectFile, flags: AskedSettings): ProjectFile {
  const unless = <T>(isSaid: boolean, value: T, nothing: T): T => (isSaid ? nothing : value);
  return {
    ...file,
    name: unless(flags.name !== null, file.name, null),
    backend: unless(flags.backend !== null, file.backend, null),
    image: unless(flags.image !== null, file.image, null),
    build: unless(flags.image !== null, file.build, null),
    platform: unless(flags.platform !== null, file.platform, null),
    isolation: unless(flags.isolation !== null, file.isolation, null),
    user: unless(flags.user !== null, file.user, null),
    readOnly: unless(flags.readOnly !== null, file.readOnly, null),
    policy: unless(flags.policies.length > 0, file.policy, []),
    mounts: file.mounts.filter(({ value }) => !flags.mounts.some((flag) => isSamePlace(flag, value))),
    volumes: file.volumes.filter(({ value }) => !flags.volumes.some(({ name }) => name === value.name)),
    workdir: unless(flags.workdir !== null, file.workdir, null),
    environment: file.environment.filter(({ value }) => !Object.hasOwn(flags.environment, value.name)),
    secrets: file.secrets.filter(({ value }) => !flags.secrets.some((flag) => isSameSecret(flag, value))),
    cache: unless(flags.cache !== null, file.cache, null),
    resources: {
      cpus: unless(flags.resources.cpus !== null, file.resources.cpus, null),
      memory: unless(flags.resources.memory !== null, file.resources.memory, null),
      pids: unless(flags.resources.pids !== null, file.resources.pids, null),
      disk: unless(flags.resources.disk !== null, file.resources.disk, null),
    },
    timeoutMs: unless(flags.timeoutMs !== null, file.timeoutMs, null),
    phaseAfter: unless(flags.phaseAfter.length > 0, file.phaseAfter, []),
    command: unless(flags.command.length > 0, file.command, null),
  };
}

function isSamePlace(flag: MountFlag, other: MountFlag): boolean {
  return flag.target !== null && flag.target === other.target;
}

function isSameSecret(flag: string, other: string): boolean {
  const name = readSecretText(flag)?.name;
  return name !== undefined && name === readSecretText(other)?.name;
}

/** Raises `file-invalid` where the file passes a variable that the caller does not have. */
export function mergeProject(
  file: ProjectFile,
  flags: AskedSettings,
  { folder, caller }: MergeContext,
): MergedSettings {
  const rest = remainderOf(file, flags);
  const at = (path: string): string => resolve(folder, path);
  const policies = rest.policy.map(({ value }) => absolutePolicy(value, folder));
  const mounts = rest.mounts.map(({ value }) => ({ ...value, source: at(value.source) }));
  const image = rest.image === null ? null : absoluteImage(rest.image.value, folder);
  const asked: AskedSettings = {
    name: flags.name ?? rest.name?.value ?? null,
    backend: flags.backend ?? rest.backend?.value ?? null,
    image: flags.image ?? image,
    platform: flags.platform ?? rest.platform?.value ?? null,
    isolation: flags.isolation ?? rest.isolation?.value ?? null,
    user: flags.user ?? rest.user?.value ?? null,
    readOnly: flags.readOnly ?? rest.readOnly?.value ?? null,
    policies: [...policies, ...flags.policies],
    mounts: [...mounts, ...flags.mounts],
    volumes: [...rest.volumes.map(({ value }) => ({ ...value, folder })), ...flags.volumes],
    workdir: flags.workdir ?? rest.workdir?.value ?? null,
    environment: {
      ...Object.fromEntries(rest.environment.map((one) => [one.value.name, valueFor(one, caller)])),
      ...flags.environment,
    },
    shares: [...new Set([...valuesOf(rest.shares), ...flags.shares])],
    secrets: [...rest.secrets.map(({ value }) => absoluteSecret(value, folder)), ...flags.secrets],
    ports: [...valuesOf(rest.ports), ...flags.ports],
    trustCa: [...rest.trustCa.map(({ value }) => at(value)), ...flags.trustCa],
    cache: flags.cache ?? rest.cache?.value ?? null,
    resources: {
      cpus: flags.resources.cpus ?? rest.resources.cpus?.value ?? null,
      memory: flags.resources.memory ?? rest.resources.memory?.value ?? null,
      pids: flags.resources.pids ?? rest.resources.pids?.value ?? null,
      disk: flags.resources.disk ?? rest.resources.disk?.value ?? null,
    },
    timeoutMs: flags.timeoutMs ?? rest.timeoutMs?.value ?? null,
    phaseAfter: [...valuesOf(rest.phaseAfter), ...flags.phaseAfter],
    command: flags.command.length > 0 ? flags.command : (rest.command?.value ?? []),
  };
  return { asked, origins: [...originsOf(rest), ...flagOrigins(flags)] };
}

function valuesOf<T>(placed: readonly Placed<T>[]): readonly T[] {
  return placed.map(({ value }) => value);
}

function valueFor({ value: { name, value }, at }: Placed<Variable>, caller: MergeContext['caller']): string {
  const own = value ?? caller[name];
  if (own !== undefined) return own;
  const hint = `set it, or give it a value here or with --env ${name}=VALUE`;
  throw new SandError('file-invalid', `${formatPlace(at)}: the variable ${name} is not set here`, hint);
}

/** What the file says, by key, each with its own place. */
export function originsOf(file: ProjectFile): readonly SettingOrigin[] {
  const { environment, resources, ...others } = file;
  const of = (setting: string, placed: Placed<unknown>): SettingOrigin => ({
    setting,
    from: formatPlace(placed.at),
  });
  const keys = Object.entries(others).flatMap(([key, value]): readonly SettingOrigin[] => {
    const setting = key === 'timeoutMs' ? 'timeout' : key;
    if (value === null) return [];
    return isList(value) ? value.map((one) => of(setting, one)) : [of(setting, value)];
  });
  const limits = RESOURCES.flatMap((key) => {
    const placed = resources[key];
    return placed === null ? [] : [of(`resources.${key}`, placed)];
  });
  return [...keys, ...environment.map((one) => of(`environment.${one.value.name}`, one)), ...limits];
}

function isList(value: Placed<unknown> | readonly Placed<unknown>[]): value is readonly Placed<unknown>[] {
  return Array.isArray(value);
}

const FLAGS: Readonly<Record<Exclude<keyof AskedSettings, 'environment' | 'resources'>, string>> = {
  name: '--name',
  backend: '--backend',
  image: '--image',
  platform: '--platform',
  isolation: '--isolation',
  user: '--user',
  readOnly: '--read-only',
  policies: '--policy',
  mounts: '--mount',
  volumes: '--volume',
  workdir: '--workdir',
  shares: '--share',
  secrets: '--secret',
  ports: '-p',
  trustCa: '--trust-ca',
  cache: '--cache',
  timeoutMs: '--timeout',
  phaseAfter: '--phase-after',
  command: 'what stands behind --',
};
/** Keys of the file that have another name than the setting. */
const KEY_NAMES: Readonly<Record<string, string>> = { policies: 'policy', timeoutMs: 'timeout' };

function flagOrigins(flags: AskedSettings): readonly SettingOrigin[] {
  const said = Object.entries(FLAGS).flatMap(([key, from]): readonly SettingOrigin[] => {
    const value: unknown = Reflect.get(flags, key);
    const isSilent = value === null || (Array.isArray(value) && value.length === 0);
    return isSilent ? [] : [{ setting: KEY_NAMES[key] ?? key, from }];
  });
  const variables = Object.keys(flags.environment).map((name) => ({
    setting: `environment.${name}`,
    from: '--env',
  }));
  const limits = RESOURCES.filter((key) => flags.resources[key] !== null).map((key) => ({
    setting: `resources.${key}`,
    from: `--${key}`,
  }));
  return [...said, ...variables, ...limits];
}
