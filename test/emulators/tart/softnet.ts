/** How `tart run` finds the program `softnet`, what it hands over to it, and when it would make it SUID root. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure, notEmulated } from '../container/failure.ts';
import { type Call, hasFlag, optionValue, optionValues } from './call.ts';
import { refuseLater } from './validation.ts';

export interface Softnet {
  readonly program: string;
  readonly arguments: readonly string[];
  /** Null without a control descriptor. */
  readonly controlFd: number | null;
}

const SUID = 0o4000;
const FIRST_FREE_FD = 3;
const LIST_OPTIONS = ['--net-softnet-allow', '--net-softnet-block', '--net-softnet-expose'];

/** The host's own network, without a rule; here too something has to hold the other end of the cable. */
const VMNET = fileURLToPath(new URL('../tart-stock/vmnet.py', import.meta.url));

function planNat(macAddress: string): Softnet {
  const own = ['--emulated-nat', '--vm-fd', '0', '--vm-mac-address', macAddress];
  return { program: VMNET, arguments: own, controlFd: null };
}

/** What is asked for but `softnet` is refused: a guest with another network would prove nothing. */
export function planSoftnet(call: Call, macAddress: string): Softnet {
  if (optionValues(call, '--net-bridged').length > 0)
    throw refuseLater(
      call,
      `no bridge interfaces matched "${optionValue(call, '--net-bridged')}", available interfaces:\n`,
    );
  const control = optionValue(call, '--net-softnet-control-fd');
  const isHost = hasFlag(call, '--net-host');
  const isAsked =
    isHost ||
    control !== null ||
    hasFlag(call, '--net-softnet') ||
    LIST_OPTIONS.some((name) => optionValue(call, name) !== null);
  if (!isAsked && call.settings.hasNat) return planNat(macAddress);
  if (!isAsked) throw notEmulated('run without --net-softnet or --net-host: the guest would have NAT');
  const program = findSoftnet();
  refuseTerminal(program);
  const controlFd = control === null ? null : Number(control);
  if (controlFd !== null && controlFd < FIRST_FREE_FD)
    throw new Failure(`Softnet control file descriptor should be greater than 2, got ${controlFd}`);
  return { program, arguments: argumentsOf(call, macAddress, isHost, controlFd !== null), controlFd };
}

/** The first that is there; whether it can be started is not asked. */
function findSoftnet(): string {
  const folders = (process.env.PATH ?? '').split(':').filter((folder) => folder !== '');
  const found = folders.map((folder) => join(folder, 'softnet')).find((path) => existsSync(path));
  if (found === undefined) throw new Failure('softnet not found in PATH');
  return found;
}

/** With a terminal the tool asks for a password, and makes the program somebody else's for good. */
function refuseTerminal(program: string): void {
  if (process.stdout.isTTY !== true) return;
  const { mode, uid } = statSync(program);
  if ((mode & SUID) !== 0 && uid === 0) return;
  throw new Failure(
    `tart would run \`sudo chown root\` and \`sudo chmod u+s\` on ${program}: stdout is a terminal`,
  );
}

function argumentsOf(
  call: Call,
  macAddress: string,
  isHost: boolean,
  hasControl: boolean,
): readonly string[] {
  const lists = LIST_OPTIONS.flatMap((name) => {
    const value = optionValue(call, name);
    return value === null ? [] : [name.replace('--net-softnet-', '--'), value];
  });
  return [
    ...['--vm-fd', '0', '--vm-mac-address', macAddress],
    ...(isHost ? ['--vm-net-type', 'host'] : []),
    ...lists,
    ...(hasControl ? ['--control-fd', '1'] : []),
  ];
}
