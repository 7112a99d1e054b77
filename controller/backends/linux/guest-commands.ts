/** A command in a guest that has started, by the guest's isolation: joined to its sandbox, to its gVisor, or in its machine. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isSynthetic } from '../../links/probing.ts';
import { joiningArguments } from '../../resources/join.ts';
import type { ExitStatus, GuestCommand } from '../backend.ts';
import { architecture } from './architecture.ts';
import { planCommand } from './argv.ts';
import { runCommand } from './command.ts';
import { askToEnd } from './guest-processes.ts';
import { runGvisorCommand } from './gvisor/command.ts';
import { askGvisorToEnd } from './gvisor/holder.ts';
import type { LinuxHandle } from './handle.ts';
import { seccompFilter } from './seccomp.ts';
import { MACHINE_CAPABILITY_MASK } from './vm/machine.ts';
import { accessMachine, runInMachine } from './vm/start.ts';

/** In a guest of another process, which goes on when the command has ended. */
export function execAlone(handle: LinuxHandle, command: GuestCommand): Promise<ExitStatus> {
  if (handle.isolation !== 'vm') return runIn(handle, Promise.resolve(), command, command.signal);
  return runInMachine(handle.workdir, command, (access) =>
    runInSandbox(handle, Promise.resolve(), access, access.signal, []),
  );
}

export function runIn(
  handle: LinuxHandle,
  confined: Promise<void>,
  command: GuestCommand,
  signal: AbortSignal,
): Promise<ExitStatus> {
  if (handle.isolation === 'vm') {
    const access = accessMachine(randomUUID(), handle.workdir, command);
    return runInSandbox(handle, confined, access, signal, []);
  }
  const { holderPid, initPid, uid, gid, namespace, writable } = handle;
  if (handle.isolation === 'gvisor') {
    const shared = {
      holderPid,
      initPid,
      identity: { uid, gid },
      environment: { ...handle.environment, ...command.environment },
      workdir: command.workdir ?? handle.workdir,
      joining: joiningArguments(handle.procsFiles),
    };
    const { reservedName } = handle;
    const expected = { uid, hostKernel: hostKernel(), namespace, writable, isSynthetic };
    return runGvisorCommand({ ...shared, reservedName, expected, confined }, command, signal);
  }
  return runInSandbox(handle, confined, command, signal, []);
}

/** `capabilities` count in the command's own user namespace alone. */
export function runInSandbox(
  handle: LinuxHandle,
  confined: Promise<void>,
  command: GuestCommand,
  signal: AbortSignal,
  capabilities: readonly string[],
): Promise<ExitStatus> {
  const { holderPid, initPid, uid, gid, namespace, writable } = handle;
  const launch = planCommand({
    holderPid,
    initPid,
    identity: { uid, gid },
    // What reaches a machine is no command of the guest's: that has its variables in the machine.
    environment: { ...(handle.isolation === 'vm' ? {} : handle.environment), ...command.environment },
    workdir: command.workdir ?? handle.workdir,
    joining: joiningArguments(handle.procsFiles),
    terminal: command.terminal,
    filter: seccompFilter(architecture()),
    launcher: handle.launcher,
    capabilities,
    command: command.argv,
  });
  const kept = capabilities.length === 0 ? {} : { capabilities: MACHINE_CAPABILITY_MASK };
  return runCommand(launch, command, signal, { namespace, writable, confined, ...kept });
}

function hostKernel(): string {
  return readFileSync('/proc/version', 'utf8').trim();
}

export function askGuestToEnd(handle: LinuxHandle, graceMs: number): Promise<void> {
  if (handle.isolation === 'gvisor') return askGvisorToEnd(handle, graceMs);
  return askToEnd(handle.initPid, handle.holderPid, graceMs);
}
