/**
 * What a runner lacks for guests, and what is done about it: packages that are missing, and Ubuntu's setting that takes
 * capabilities from the user namespaces of ordinary users. Pure; `setup.ts` does it.
 */
import type { DoctorReport } from './report.ts';

export interface RunnerFacts {
  readonly doctor: DoctorReport;
  /** Of kernel.apparmor_restrict_unprivileged_userns; null where the kernel has no such setting. */
  readonly apparmorRestricts: string | null;
  readonly isRoot: boolean;
  /** The workflow allows changes, and this user is root or sudo asks for nothing. */
  readonly mayAct: boolean;
  readonly hasApt: boolean;
}

export interface SetupPlan {
  readonly packages: readonly string[];
  readonly apparmor: boolean;
  /** What an administrator has to do, where this user cannot or may not. */
  readonly advice: readonly string[];
}

const PACKAGES: readonly (readonly [RegExp, string])[] = [
  [/^bubblewrap$/, 'bubblewrap'],
  [/^nftables$/, 'nftables'],
  [/^iproute2$/, 'iproute2'],
  [/^util-linux$/, 'util-linux'],
];

export const SYSCTL = 'kernel.apparmor_restrict_unprivileged_userns';

/**
 * For the programs with which sand makes user namespaces, and nothing else: they may, and are otherwise as unconfined as
 * before. It is loaded into the kernel alone, so that the next start of the machine forgets it as well.
 */
export const APPARMOR_PROFILE = `abi <abi/4.0>,
include <tunables/global>

profile sand-egress-bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
}

profile sand-egress-unshare /usr/bin/unshare flags=(unconfined) {
  userns,
}
`;

export function planSetup(facts: RunnerFacts): SetupPlan {
  const { doctor, apparmorRestricts, isRoot, mayAct, hasApt } = facts;
  const missing = PACKAGES.filter(([pattern]) => doctor.failed.some(({ check }) => pattern.test(check))).map(
    ([, name]) => name,
  );
  // The setting binds users without privileges.
  const apparmor = apparmorRestricts === '1' && !isRoot && blocksNamespaces(doctor);
  return {
    packages: mayAct && hasApt ? missing : [],
    apparmor: apparmor && mayAct,
    advice: [
      ...(missing.length > 0 && !(mayAct && hasApt) ? [`sudo apt-get install ${missing.join(' ')}`] : []),
      ...(apparmor && !mayAct ? [`sudo sysctl -w ${SYSCTL}=0`] : []),
    ],
  };
}

/** A missing program hides whether namespaces work. */
function blocksNamespaces({ failed }: DoctorReport): boolean {
  return failed.some(({ check }) =>
    /^(user namespaces|bubblewrap( start)?|veth|nftables ruleset)$/.test(check),
  );
}

/** One line for each failed check, for people. */
export function explainFailure({ failed }: DoctorReport, advice: readonly string[]): string {
  const checks = failed.map(
    ({ check, message, remedy }) => `${check}: ${message}${remedy === null ? '' : ` → ${remedy}`}`,
  );
  const todo = advice.length === 0 ? [] : [`an administrator of this runner has to: ${advice.join('; ')}`];
  return [...checks, ...todo].join('\n');
}
