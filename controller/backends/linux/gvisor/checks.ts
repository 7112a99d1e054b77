/**
 * What `sand doctor` finds of gVisor: whether `runsc` is there, and whether it starts something the way a guest
 * is started. It is an isolation that somebody asks for, so its absence is no fault. Changes nothing.
 */
import { type Attempt, describeAttempt, succeeded } from '../../../doctor/attempt.ts';
import { excerpt, ok, warning } from '../../../doctor/finding.ts';
import type { Install } from '../../../doctor/packages.ts';
import type { Finding } from '../../backend.ts';
import { TRIAL_FLAGS } from './launch.ts';

const CHECK = 'gvisor';

/**
 * In namespaces like the link's and a sandbox like the outer one. What a guest's programs ask of the kernel grows:
 * `ls` of coreutils 9 asks for what the `runsc` of Debian 12 does not know.
 */
export const GVISOR_TRIAL: readonly string[] = [
  ...['unshare', '--user', '--map-root-user', '--net', '--'],
  ...['bwrap', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--cap-add', 'ALL', '--die-with-parent'],
  ...['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--chdir', '/', '--'],
  ...['runsc', '--root=/tmp/state', ...TRIAL_FLAGS, 'do', '/bin/sh', '-c'],
  'echo started; ls -d /',
];

export interface GvisorAttempts {
  readonly version: Attempt;
  /** Null where there was no point in trying. */
  readonly trial: Attempt | null;
}

/** Pure. */
export function judgeGvisor({ version, trial }: GvisorAttempts, install: Install): Finding {
  if (version.kind === 'missing') return ok(CHECK, 'not installed: --isolation gvisor is not to be had');
  const named = version.kind === 'ran' ? /^runsc version (\S{1,60})$/m.exec(version.stdout)?.[1] : undefined;
  if (!succeeded(version) || named === undefined) {
    const said = excerpt(describeAttempt(version));
    return warning(
      CHECK,
      `runsc does not say its version: ${said}`,
      `see what it is; else ${install('runsc')}`,
    );
  }
  if (trial === null) return warning(CHECK, `runsc ${named}; not tried: no namespace can be made`, null);
  if (succeeded(trial)) return ok(CHECK, `runsc ${named}`);
  if (trial.kind === 'ran' && /^started$/m.test(trial.stdout)) {
    return warning(
      CHECK,
      `runsc ${named} starts guests, and is too old for some of this system\u2019s programs: ${excerpt(trial.stderr)}`,
      'install a newer one, as gvisor.dev tells',
    );
  }
  const why = excerpt(describeAttempt(trial));
  return warning(CHECK, `runsc ${named} cannot start a guest: ${why}`, 'leave --isolation gvisor out');
}
