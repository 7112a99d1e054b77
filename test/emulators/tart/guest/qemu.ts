/**
 * A guest in a machine with a kernel of its own, whose only card is the cable: QEMU on an emulated processor, its files by virtiofsd, its
 * processes over virtio-serial. `tart run` goes on while it boots, and all of it dies with that process.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Failure } from '../../container/failure.ts';
import { forgetProcess, identify, recordProcess, sendSignal } from '../../container/processes.ts';
import { failureOf, readReport } from '../../container/runtime/child.ts';
import type { Ends } from '../../container/runtime/ends.ts';
import { rootParts } from '../../container/runtime/namespaces/parts.ts';
import { type Open, openProcess, sendGuestSignal } from '../../machine/calls.ts';
import { initramfsFor } from '../../machine/initramfs.ts';
import { findKernel } from '../../machine/kernel.ts';
import { missingParts } from '../../machine/parts.ts';
import { PLACES, planMachine, type ShownFolder, sharesOf } from '../../machine/plan.ts';
import { listenAtPort, serveFiles } from '../../machine/start.ts';
import { complain } from '../call.ts';
import type { TartHome } from '../home.ts';
import type { Share } from '../shares.ts';
import type { Vm } from '../vms.ts';
import { localAddress } from './address.ts';
import { CARD_FD, type HeldMachine } from './cable.ts';
import { findProgram, type ImageFiles, imageFiles, sudoProgram } from './host-files.ts';
import type { Boot, Machine } from './machine.ts';
import { ALL_CAPABILITIES, planBoot, planExec, planLook } from './plan.ts';
import { ACCOUNTS, CARDS } from './scripts.ts';

/** In the machine. */
const WORK_FOLDER = '/guest';
const NAMES = { busybox: 'busybox', sudo: 'sudo', share: (at: number) => `share${at}` } as const;
const ATTACHED = { isInteractive: false, isAttached: true } as const;

export const bootQemu: Boot = async (home, vm, shares, cable) => {
  const missing = missingParts();
  const kernel = findKernel();
  if (kernel === null || missing.length > 0) throw new Failure(`a machine has no ${missing.join(', no ')}`);
  const folder = join(vm.folder, 'machine');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // From here a socket of the machine's has a short name.
  process.chdir(folder);
  const image = imageFiles(vm);
  const shown = sharesOf(image.root, shownFolders(vm, shares));
  const servers: ChildProcess[] = [];
  for (const share of shown) {
    const server = await serveFiles(share, join(folder, `${share.tag}.seen`));
    noteUntilItsEnd(home, server);
    servers.push(server);
  }
  const port = listenAtPort(0, () => {});
  await port.listening;
  const card = { descriptor: CARD_FD, mac: vm.config.macAddress, name: CARDS[vm.config.os] };
  const machine = await cable.runMachine(planMachine(kernel, initramfsFor(kernel), shown, [], card), folder);
  const reached = await Promise.race([port.connected, machine.ended]);
  if (reached === undefined) throw new Failure('the machine ended before it was started');
  const init = openProcess(reached.open, planInit(vm, shares, image), ATTACHED, false);
  for (const output of [init.stdout, init.stderr]) output?.resume();
  return follow(vm, init, reached.open, machine, servers);
};

function noteUntilItsEnd(home: TartHome, child: ChildProcess): void {
  const { pid = 0 } = child;
  recordProcess(home, pid);
  child.once('exit', () => forgetProcess(home, pid));
}

/** The emulator's own programs, and what `--dir` names; whose they are is settled before the machine sees them. */
function shownFolders({ config }: Vm, shares: readonly Share[]): readonly ShownFolder[] {
  const { uid, gid } = ACCOUNTS[config.os];
  const users = { hostUid: process.getuid?.() ?? 0, uid, hostGid: process.getgid?.() ?? 0, gid };
  return [
    { name: NAMES.busybox, source: findProgram('busybox'), isReadOnly: true },
    { name: NAMES.sudo, source: sudoProgram(), isReadOnly: true },
    ...shares.map(({ path, isReadOnly }, at) => ({ name: NAMES.share(at), source: path, isReadOnly, users })),
  ];
}

/** Put together in the machine as it is in namespaces, out of what the machine sees. */
function planInit(
  { name, config, disk }: Vm,
  shares: readonly Share[],
  { root, passwd, group, hasZsh, lacking }: ImageFiles,
): readonly string[] {
  const parts = rootParts(WORK_FOLDER, root, [], null);
  return planBoot({
    ...parts,
    // The dot makes the kernel go into a share of its own, which it otherwise takes for the folder that it lies on.
    imageRoot: `${PLACES.system}/root/.`,
    hidden: [...new Set([...parts.hidden, ...lacking])],
    emptied: parts.emptied.filter((name) => !lacking.includes(name)),
    os: config.os,
    hostname: name.split('.')[0] ?? name,
    shares: shares.map((share, at) => ({
      ...share,
      source: `${PLACES.files}/${NAMES.share(at)}`,
      users: null,
    })),
    kernel: 'own',
    capabilities: ALL_CAPABILITIES,
    busybox: `${PLACES.files}/${NAMES.busybox}`,
    sudo: `${PLACES.files}/${NAMES.sudo}`,
    passwd,
    group,
    hasZsh,
    boots: disk.root !== null,
  });
}

function follow(
  { config: { os } }: Vm,
  init: Ends,
  open: Open,
  machine: HeldMachine,
  servers: readonly ChildProcess[],
): Machine {
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  let pid = 0;
  let status = -1;
  void readReport(init, (word, rest) => {
    if (word === 'started') pid = Number(rest);
    if (word === 'exited') status = Number(rest);
    const failure = failureOf(word, rest);
    if (failure !== null) complain(`the guest does not come up: ${failure.message}`);
  }).then(() => end(status));
  void machine.ended.then(() => end(status));
  const kernel = identify(machine.pid);
  return {
    ended,
    isUp: () => pid > 0,
    shutDown: () => void sendGuestSignal(open, pid, constants.signals.SIGTERM),
    async powerOff() {
      if (kernel !== null) sendSignal(kernel, 'SIGKILL');
      await machine.ended;
      for (const server of servers) {
        if (server.exitCode !== null || server.signalCode !== null) continue;
        server.kill('SIGKILL');
        await once(server, 'exit');
      }
    },
    async address() {
      if (pid === 0) return null;
      const { stdout } = openProcess(open, planLook(pid, '/proc/net/fib_trie'), ATTACHED, false);
      return stdout === null ? null : localAddress(await text(stdout).catch(() => ''));
    },
    run: ({ isInteractive, isTerminal, ...request }) =>
      openProcess(
        open,
        planExec(pid, os, 'own', ALL_CAPABILITIES, { ...request, isInteractive, isTerminal }),
        { isInteractive, isAttached: true },
        isTerminal,
      ),
    kill: (of) => void sendGuestSignal(open, of, constants.signals.SIGKILL),
  };
}
