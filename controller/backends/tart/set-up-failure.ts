/** What the guest's set-up said, where it did not come to its end, as an error that tells what to do. Pure. */
import { SandError } from '../../errors.ts';
import type { ToolOutput } from '../../process/runner.ts';
import { type MachineFacts, parseComplaint } from './parse.ts';

const LENGTH = 300;

/** Fail closed: anything but its last word counts as a failure. */
export function failSetUp(
  { exitCode, stdout, stderr }: Pick<ToolOutput, 'exitCode' | 'stdout' | 'stderr'>,
  system: MachineFacts['system'],
): void {
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (exitCode === 0 && last === 'ready') return;
  const [, step = '', what = ''] = /^failed (\w+) (.*)$/.exec(last) ?? [];
  const place = what.replaceAll(/[^ -~]/g, '?').slice(0, LENGTH);
  throw (
    describe(step, place, system) ?? broken(step, parseComplaint(stderr) || place || `exit code ${exitCode}`)
  );
}

/** Where whoever runs commands has a home, and what else takes a mount. */
const PLACES = {
  macos: {
    home: '/Users/admin',
    why: ': macOS lets nobody make folders at its top',
    below: '/Users, /opt or /private/tmp',
    needs: 'a guest of macOS needs 13 or newer',
  },
  linux: {
    home: '/home/admin',
    why: '',
    below: 'a folder that the guest can write as root',
    needs: 'a guest of Linux needs virtiofs in its kernel',
  },
} as const;

/** Whether the guest had no place to name a resolver at a port of its own. */
export function findsNoResolver({ stdout }: Pick<ToolOutput, 'stdout'>): boolean {
  return stdout.split('\n').includes('no-resolver');
}

function describe(step: string, place: string, system: MachineFacts['system']): SandError | null {
  const { home, why, below, needs } = PLACES[system];
  switch (step) {
    case 'sudo':
      return new SandError(
        'guest-failed',
        `the user ${place} of the image may not become root without a password, which setting the guest up needs`,
        'use an image of Tart\u2019s, or allow it there: echo "admin ALL=(ALL) NOPASSWD: ALL" in /etc/sudoers.d/admin',
      );
    case 'shares':
      return new SandError(
        'guest-failed',
        `what is mounted did not appear in the guest at ${place}`,
        `look whether its folder can be read on the host; ${needs}`,
      );
    case 'taken':
      return new SandError(
        'workspace-refused',
        `the guest has something at ${place} already`,
        `mount it at another place: --mount FOLDER:${home}/NAME`,
      );
    case 'place':
      return new SandError(
        'workspace-refused',
        `the guest has no place for a mount at ${place}${why}`,
        `mount it below ${below}: --mount FOLDER:${home}/NAME`,
      );
    default:
      return null;
  }
}

function broken(step: string, why: string): SandError {
  const what = step === '' ? '' : ` at the step ${step}`;
  return new SandError(
    'guest-failed',
    `the guest could not be set up${what}: ${why}`,
    'run `sand doctor --backend tart`, and report this with its output',
  );
}
