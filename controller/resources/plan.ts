/**
 * Facts of the host and wanted limits → the control groups that a guest gets, as folders and files to write, or why
 * this host cannot hold the guest to them. Never leaves a limit out. Pure; `cgroup.ts` carries it out.
 */
import { SandError } from '../errors.ts';
import type { ResourceLimits } from './flags.ts';
import { guestDirectory, LEAF_NAME } from './places.ts';
import { CGROUP_LIMITS, type CgroupLimit, type CgroupVersion, LIMIT_TABLE, type LimitFile } from './table.ts';

/** A group of the host in which guests could get groups of their own. */
export interface CgroupPlace {
  readonly version: CgroupVersion;
  readonly directory: string;
  /** Whether sand stands in the leaf below it, where another sand has put what it was started from. */
  readonly inLeaf: boolean;
  /** That a group below it can have. */
  readonly controllers: readonly string[];
  /** Version 2: that the groups below it have. */
  readonly enabled: readonly string[];
  /** The root of the kernel's own hierarchy, in which processes may stand beside groups. */
  readonly top: boolean;
  /** Processes that stand in it. */
  readonly processes: readonly number[];
  /** Whether sand may make groups there, move processes there, and hand controllers on. */
  readonly writable: boolean;
  readonly readOnly: boolean;
}

export interface CgroupFacts {
  readonly root: boolean;
  readonly places: readonly CgroupPlace[];
  /** sand's own process and those that it descends from. */
  readonly lineage: readonly number[];
  /** Whether a systemd of the user's own can be asked for a group, and of the machine's. */
  readonly userManager: boolean;
  readonly systemManager: boolean;
  /** Whether there is swap, into which memory beyond the limit could go. */
  readonly swap: boolean;
}

export interface CgroupWrite {
  readonly path: string;
  readonly value: string;
  /** Whether a kernel without that file is all right. */
  readonly optional: boolean;
}

/** What must be done to a group of version 2 before the groups below it can have limits. */
export interface Preparation {
  readonly base: string;
  readonly controllers: readonly string[];
  /** Where the processes of `base` go first; null where they may stay. */
  readonly leaf: string | null;
  readonly lineage: readonly number[];
}

export interface CgroupPlan {
  readonly preparation: Preparation | null;
  /** Of the guest, to be made in this order. */
  readonly directories: readonly string[];
  readonly writes: readonly CgroupWrite[];
  /** Every process of the guest joins by writing itself to all of these. */
  readonly procsFiles: readonly string[];
}

export type Planned =
  | { readonly ok: true; readonly plan: CgroupPlan }
  | { readonly ok: false; readonly limit: CgroupLimit; readonly message: string; readonly hint: string };

/** For a guest without limits of this kind: nothing is made, and nothing joined. */
export const NO_CGROUPS: CgroupPlan = { preparation: null, directories: [], writes: [], procsFiles: [] };

export const SYSTEMD_SCOPE = {
  user: 'systemd-run --user --scope -p Delegate=yes sand run',
  root: 'systemd-run --scope -p Delegate=yes sand run',
} as const;

/** `guest` is unique on this machine, and checked to be a name. */
export function planCgroups(facts: CgroupFacts, limits: ResourceLimits, guest: string): Planned {
  const wanted = CGROUP_LIMITS.flatMap((limit) => {
    const value = limits[limit];
    return value === null ? [] : [{ limit, value }];
  });
  if (wanted.length === 0) return { ok: true, plan: NO_CGROUPS };
  const chosen: { place: CgroupPlace; limit: CgroupLimit; value: number }[] = [];
  for (const { limit, value } of wanted) {
    const place = placeOf(facts, LIMIT_TABLE[limit].controller);
    // Fail closed: a limit that cannot be held keeps the guest from starting.
    const problem = place === null ? absent(facts, limit) : problemOf(facts, place, limit);
    if (problem !== null) return { ok: false, limit, ...problem };
    if (place !== null) chosen.push({ place, limit, value });
  }
  const places = [...new Set(chosen.map(({ place }) => place))];
  const accounting = places.some(({ version }) => version === 1) ? placeOf(facts, 'cpuacct') : null;
  // Counts processor time where that is a hierarchy of its own; it limits nothing, so it may be missing.
  if (accounting?.version === 1 && accounting.writable && !places.includes(accounting))
    places.push(accounting);
  const directories = places.map(({ directory }) => guestDirectory(directory, guest));
  return {
    ok: true,
    plan: {
      preparation: prepare(facts, chosen),
      directories,
      writes: chosen.flatMap(({ place, limit, value }) =>
        LIMIT_TABLE[limit].files[place.version](value).map((file) => writeOf(place, guest, file, facts)),
      ),
      procsFiles: directories.map((directory) => `${directory}/cgroup.procs`),
    },
  };
}

function writeOf(place: CgroupPlace, guest: string, file: LimitFile, facts: CgroupFacts): CgroupWrite {
  return {
    path: `${guestDirectory(place.directory, guest)}/${file.file}`,
    value: file.value,
    // Fail closed: where there is swap, memory is only limited when that is as well.
    optional: file.swap && !facts.swap,
  };
}

function placeOf({ places }: CgroupFacts, controller: string): CgroupPlace | null {
  return places.find(({ controllers }) => controllers.includes(controller)) ?? null;
}

interface Problem {
  readonly message: string;
  readonly hint: string;
}

function absent(facts: CgroupFacts, limit: CgroupLimit): Problem {
  const { flag, controller } = LIMIT_TABLE[limit];
  const unified = facts.places.find(({ version }) => version === 2);
  const has =
    unified === undefined || unified.controllers.length === 0 ? 'none' : unified.controllers.join(', ');
  const where =
    unified === undefined
      ? 'no mounted control group shows it'
      : `sand\u2019s own control group ${unified.directory} has: ${has}`;
  return {
    message: `${flag} needs the ${controller} controller, and ${where}`,
    hint: delegation(facts, controller),
  };
}

function delegation(facts: CgroupFacts, controller: string): string {
  if (facts.root) return `mount a control group hierarchy with ${controller}, or leave the limit out`;
  const scope = facts.userManager
    ? `start it as \`${SYSTEMD_SCOPE.user} \u2026\`; where that lacks ${controller}, `
    : '';
  const unit = '`[Service]`, `Delegate=cpu memory pids` by `sudo systemctl edit user@.service`';
  return facts.systemManager || facts.userManager
    ? `${scope}have an administrator set ${unit} and log in anew, or run sand as root`
    : 'run sand as root, or leave the limit out';
}

function problemOf(facts: CgroupFacts, place: CgroupPlace, limit: CgroupLimit): Problem | null {
  const { flag, controller } = LIMIT_TABLE[limit];
  const about = `${flag} needs a control group of the guest\u2019s own`;
  if (place.readOnly) {
    return {
      message: `${about}, and ${place.directory} is read-only here`,
      hint: 'in a container, give it the limit instead of the guest, or a writable /sys/fs/cgroup; else leave the limit out',
    };
  }
  if (!place.writable) {
    const delegated =
      place.version === 2 ? 'which nobody delegated to this user' : 'which only root can change';
    return {
      message: `${about}, and sand stands in ${place.directory}, ${delegated}`,
      hint:
        place.version === 2 && facts.userManager && !facts.root
          ? `start it as \`${SYSTEMD_SCOPE.user} \u2026\`, or as root`
          : 'run sand as root, or leave the limit out',
    };
  }
  const strangers = place.processes.filter((pid) => !facts.lineage.includes(pid));
  if (!mustMove(place, [controller]) || strangers.length === 0) return null;
  const scope = facts.root ? SYSTEMD_SCOPE.root : SYSTEMD_SCOPE.user;
  return {
    message: `${about}, and processes that sand does not descend from stand in ${place.directory} as well (${strangers.length}, such as ${strangers[0]})`,
    hint: facts.systemManager
      ? `start it as \`${scope} \u2026\``
      : 'start sand in a control group of its own, or leave the limit out',
  };
}

/** The rule of no inner processes: a group of version 2 hands controllers on only while nothing runs in it. */
function mustMove(place: CgroupPlace, controllers: readonly string[]): boolean {
  return place.version === 2 && !place.top && missing(place, controllers).length > 0;
}

function missing(place: CgroupPlace, controllers: readonly string[]): readonly string[] {
  return controllers.filter((controller) => !place.enabled.includes(controller));
}

function prepare(
  { lineage }: CgroupFacts,
  chosen: readonly { readonly place: CgroupPlace; readonly limit: CgroupLimit }[],
): Preparation | null {
  const unified = chosen.filter(({ place }) => place.version === 2);
  const place = unified[0]?.place;
  if (place === undefined) return null;
  const controllers = missing(
    place,
    unified.map(({ limit }) => LIMIT_TABLE[limit].controller),
  );
  if (controllers.length === 0 && !place.inLeaf) return null;
  const leaf = place.inLeaf || mustMove(place, controllers) ? `${place.directory}/${LEAF_NAME}` : null;
  return { base: place.directory, controllers, leaf, lineage };
}

/** All folders that carrying it out makes, for the journal, before any is made; removing them in this order undoes it. */
export function cgroupPaths({ preparation, directories }: CgroupPlan): readonly string[] {
  const leaf = preparation?.leaf ?? null;
  return leaf === null ? directories : [...directories, leaf];
}

/** Raises `resources-unavailable`. */
export function requirePlanned(planned: Planned): CgroupPlan {
  if (planned.ok) return planned.plan;
  throw new SandError('resources-unavailable', planned.message, planned.hint, {
    details: { limit: planned.limit },
  });
}
