/** Places in a guest that sand itself makes: what a caller put there would undo it. Pure. */
import { SandError } from '../errors.ts';

const RESERVED_TARGETS: readonly string[] = [
  '/',
  '/proc',
  '/dev',
  '/run',
  '/etc',
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib64',
  '/sys',
  '/var',
  '/tmp',
  '/home',
  '/root',
  '/.sand',
];
/** Below these as well. */
const RESERVED_TREES: readonly string[] = [
  '/proc',
  '/dev',
  '/run',
  '/etc',
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib64',
  '/sys',
  '/.sand',
];

/** The very path, absolute and normal. Raises `workspace-refused`. */
export function refuseReserved(target: string, home: string): string {
  if (
    !RESERVED_TARGETS.includes(target) &&
    !RESERVED_TREES.some((tree) => target.startsWith(`${tree}/`)) &&
    target !== home
  )
    return target;
  throw new SandError(
    'workspace-refused',
    `${target} in the guest is sand's own`,
    'mount it somewhere else, for example below /project, or in a guest of macOS below /Users',
  );
}
