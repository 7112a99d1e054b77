/**
 * Runs a VM in the foreground: checks what the tool checks, boots the guest with `softnet` at the end of its cable, and ends as the
 * tool does, by signals, by the guest, or by what goes wrong.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Failure, notEmulated } from '../../container/failure.ts';
import { forgetProcess, recordProcess } from '../../container/processes.ts';
import { argumentAt, type Call, complain, hasFlag, optionValues, print, STATE_STATUS } from '../call.ts';
import { withStorage } from '../clones.ts';
import { type Agent, startAgent } from '../guest/agent.ts';
import { type Cable, startCable } from '../guest/cable.ts';
import { BOOTS, type Machine } from '../guest/machine.ts';
import { vmFault } from '../settings.ts';
import { checkShares, findUnnamed, parseShare, type Share, withoutDoubles } from '../shares.ts';
import { planSoftnet } from '../softnet.ts';
import { refuseLater } from '../validation.ts';
import {
  deleteSnapshot,
  listVms,
  lockVm,
  randomMac,
  requireVm,
  runnerOf,
  saveConfig,
  stateOf,
  unlockVm,
  type Vm,
  writeSnapshot,
} from '../vms.ts';

/** Two at a time, by the framework and by the licence of macOS. */
const MOST_MACS = 2;
const NOT_EMULATED = [
  ...['--serial', '--serial-path', '--disk', '--rosetta', '--recovery', '--nested', '--provisioning-opts'],
];

/** How a run ends; `status` is the tool's. */
interface End {
  readonly status: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly isSuspended?: boolean;
}

export async function run(call: Call): Promise<number> {
  const name = argumentAt(call, 0);
  const other = NOT_EMULATED.find((option) => hasFlag(call, option) || optionValues(call, option).length > 0);
  if (other !== undefined) throw notEmulated(`run ${other}`);
  const shares = readShares(call);
  const vm = await take(call, name);
  try {
    return await runTaken(call, vm, shares);
  } finally {
    unlockVm(vm);
    forgetProcess(call.home, process.pid);
  }
}

function readShares(call: Call): readonly Share[] {
  const shares = optionValues(call, '--dir').map(parseShare);
  if (findUnnamed(shares) !== null)
    throw refuseLater(call, 'Additional directory shares should have a name when multiple are specified');
  return withoutDoubles(shares);
}

/** Holds the run lock from here; one address is never given to two that run. */
async function take(call: Call, name: string): Promise<Vm> {
  return withStorage(call.home, async () => {
    const vm = requireVm(call.home, name);
    if (runnerOf(vm) !== null) throw new Failure(`VM "${name}" is already running!`, STATE_STATUS);
    const { macAddress } = vm.config;
    const isClash = listVms(call.home).some(
      (other) => other.name !== name && other.config.macAddress === macAddress && runnerOf(other) !== null,
    );
    if (isClash) {
      print('There is already a running VM with the same MAC address!');
      print('Resetting VM to assign a new MAC address...');
      saveConfig(vm, { ...vm.config, macAddress: randomMac() });
    }
    lockVm(vm);
    return requireVm(call.home, name);
  });
}

async function runTaken(call: Call, vm: Vm, shares: readonly Share[]): Promise<number> {
  recordProcess(call.home, process.pid);
  const { promise: asked, resolve: ask } = Promise.withResolvers<End>();
  const isSuspendable = hasFlag(call, '--suspendable') || stateOf(vm) === 'suspended';
  // SIGTERM and SIGHUP have no handler: everything is gone with this process.
  process.on('SIGINT', () => ask({ status: 0 }));
  process.on('SIGUSR1', () => ask(isSuspendable ? { status: 0, isSuspended: true } : UNSUSPENDABLE));
  const softnet = planSoftnet(call, vm.config.macAddress);
  checkShares(shares);
  const hasSecondCard = vmFault(call.settings, 'second-card', vm.name) !== null;
  const cable = await startCable(call.home, vm, softnet, { cwd: process.cwd(), hasSecondCard });
  let machine: Machine | null = null;
  let agent: Agent | null = null;
  try {
    refuseStart(call, vm);
    machine = await BOOTS[call.settings.runtime](call.home, vm, shares, cable);
    const booted = machine;
    process.on('SIGUSR2', () => {
      // macOS shows a dialog, and nobody is there to answer it.
      if (vm.config.os === 'linux') booted.shutDown();
    });
    agent = await openControl(call, vm, machine);
    deleteSnapshot(vm);
    tellScreen(call);
    const end = await Promise.race([asked, ...endings(call, vm, machine, cable)]);
    if (end.stdout !== undefined) print(end.stdout);
    if (end.stderr !== undefined) complain(end.stderr);
    if (end.isSuspended === true) writeSnapshot(vm);
    return end.status;
  } finally {
    agent?.close();
    await machine?.powerOff();
    await cable.stop();
  }
}

const UNSUSPENDABLE: End = {
  status: 1,
  stderr:
    'Error: Error Domain=VZErrorDomain Code=3 "The virtual machine configuration does not support saving and restoring."',
};

/** What the framework refuses, once everything else is there. */
function refuseStart({ home, settings }: Call, vm: Vm): void {
  if (vmFault(settings, 'keychain-locked', vm.name) !== null) {
    throw new Failure(
      'Error: Error Domain=VZErrorDomain Code=-9 "Internal Virtualization error. The virtual machine failed to start." ' +
        'UserInfo={NSUnderlyingError=Interaction is not allowed with the Security Server.}',
    );
  }
  if (vm.config.os !== 'darwin') return;
  const others = listVms(home).filter(
    (other) => other.name !== vm.name && other.config.os === 'darwin' && runnerOf(other) !== null,
  );
  if (others.length < MOST_MACS && vmFault(settings, 'limit', vm.name) === null) return;
  const names = others.map((other) => other.name).join(', ');
  throw new Failure(`The number of VMs exceeds the system limit (other running VMs: ${names})`);
}

/** A socket that an earlier run has left is not taken away: nothing reaches this guest's agent then. */
async function openControl(call: Call, vm: Vm, machine: Machine): Promise<Agent | null> {
  const { settings } = call;
  const isMute = !vm.disk.hasAgent || vmFault(settings, 'no-agent', vm.name) !== null;
  const began = Date.now();
  const vanish = vmFault(settings, 'agent-vanishes', vm.name);
  const cut = vmFault(settings, 'cut-stream', vm.name);
  process.chdir(vm.folder);
  try {
    const agent = await startAgent('control.sock', {
      run: (request) => machine.run(request),
      kill: (pid) => machine.kill(pid),
      address: () => machine.address(),
      isUp: () => !isMute && machine.isUp() && Date.now() - began >= settings.agentDelayMs,
      cutAfterMs: cut === null ? null : (cut.ms ?? 0),
    });
    if (vanish !== null) setTimeout(() => agent.close(), vanish.ms ?? 0);
    return agent;
  } catch (error) {
    complain(`Failed to start the control socket: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function tellScreen(call: Call): void {
  if (!hasFlag(call, '--vnc') && !hasFlag(call, '--vnc-experimental')) return;
  const url = 'vnc://:emulated@127.0.0.1:5901';
  const isPrinted = hasFlag(call, '--no-graphics') || process.env.CI !== undefined;
  print(isPrinted ? `VNC server is running at ${url}` : `Opening ${url}...`);
}

/** By the guest, by `softnet`, or by a fault, whichever is first. */
function endings(call: Call, vm: Vm, machine: Machine, cable: Cable): readonly Promise<End>[] {
  const { settings } = call;
  const after = async (
    name: 'softnet-dies' | 'power-off' | 'vm-error',
    act: () => End | null,
  ): Promise<End> => {
    const fault = vmFault(settings, name, vm.name);
    if (fault !== null) {
      await delay(fault.ms ?? 0);
      const end = act();
      if (end !== null) return end;
    }
    return new Promise(() => {});
  };
  const isUnseen = vmFault(settings, 'softnet-death-unseen', vm.name) !== null;
  return [
    machine.ended.then(() => ({ status: 0 })),
    cable.ended.then(() =>
      isUnseen ? { status: 0 } : { status: 1, stderr: 'Error: Softnet process terminated prematurely' },
    ),
    after('softnet-dies', () => {
      cable.kill();
      return null;
    }),
    after('power-off', () => {
      machine.shutDown();
      return null;
    }),
    // The tool itself tells of it on stdout alone.
    after('vm-error', () => ({
      status: 0,
      stdout:
        'guest has stopped the virtual machine due to error, error: Error Domain=VZErrorDomain Code=1 "The virtual machine stopped unexpectedly."',
    })),
  ];
}
