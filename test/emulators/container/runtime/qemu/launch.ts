/**
 * Brings a guest about in a machine of its own, with QEMU on an emulated processor: no network card, its files by virtiofsd, its sockets
 * and processes over virtio-serial. All of it is tied to the keeper, whose end is the machine's.
 */
import type { ChildProcess } from 'node:child_process';
import { statSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { openProcess } from '../../../machine/calls.ts';
import { initramfsFor } from '../../../machine/initramfs.ts';
import { findKernel } from '../../../machine/kernel.ts';
import { missingParts } from '../../../machine/parts.ts';
import { planMachine } from '../../../machine/plan.ts';
import { listenAtPort, serveFiles, spawnTied } from '../../../machine/start.ts';
import { Failure } from '../../failure.ts';
import { identify } from '../../processes.ts';
import { type Launch, RESIZE } from '../launch.ts';
import { partsOf, sortMounts } from '../namespaces/parts.ts';
import { relayTo } from '../relay.ts';
import { listenForCalls } from './control.ts';
import { containerShares, planMachineGuest } from './machine.ts';

export const launchMachine: Launch = async (settings, container, sockets, request) => {
  const missing = missingParts();
  const kernel = findKernel();
  if (kernel === null || missing.length > 0) throw new Failure(`a machine has no ${missing.join(', no ')}`);
  const mounts = sortMounts(container, settings, sockets);
  const parts = partsOf(container, settings, mounts);
  const socketSources = mounts.relays.map(({ listenName }) => join(sockets, listenName));
  const binds = mounts.binds.filter(({ source }) => !socketSources.includes(source));
  const shares = containerShares({ imageRoot: container.imageRoot, layers: container.layers, binds });
  for (const share of shares) await serveFiles(share, join(container.folder, share.tag));
  const control = listenAtPort(0, () => {});
  const relayed = mounts.relays.map(({ hostPath }, at) => listenAtPort(at + 1, relayTo(hostPath)));
  await Promise.all([control, ...relayed].map(({ listening }) => listening));
  const modes = mounts.relays.map(({ hostPath }) => statSync(hostPath).mode & 0o777);
  const machine = spawnTied(planMachine(kernel, initramfsFor(kernel), shares, modes, null));
  const port = await Promise.race([control.connected, endOf(machine)]);
  if (port === null) throw new Failure('the machine ended before it was started');
  await listenForCalls(port.open);
  const { isInteractive, isAttached } = request;
  const isTerminal = container.configuration.initProcess.terminal;
  const steps = planMachineGuest(parts, socketSources, isInteractive);
  const ends = openProcess(port.open, steps, { isInteractive, isAttached: true }, isTerminal);
  ends.stdin?.on('error', () => process.stdin.unpipe());
  if (ends.stdin !== null) process.stdin.pipe(ends.stdin);
  if (ends.resize !== null && isAttached)
    new Socket({ fd: RESIZE, readable: true, writable: false }).pipe(ends.resize);
  return { ends, initOf: () => identify(machine.pid ?? 0) };
};

function endOf(child: ChildProcess): Promise<null> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', () => resolve(null));
  });
}
