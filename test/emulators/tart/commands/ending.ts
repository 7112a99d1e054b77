/** Ends runs and removes VMs: stop, suspend, delete. */
import { existsSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../../container/failure.ts';
import { isAlive, sendSignal } from '../../container/processes.ts';
import { argumentAt, type Call, notRunning, optionValue } from '../call.ts';
import { findImage, isRemote, parseReference } from '../images.ts';
import { deleteSnapshot, requireVm, runnerOf, stateOf } from '../vms.ts';

const POLL_MS = 100;
/** What is killed takes a moment. */
const KILL_MS = 5000;

/** A power-off, not a shutdown of the guest: the run takes SIGINT so. */
export async function stop(call: Call): Promise<number> {
  const vm = requireVm(call.home, argumentAt(call, 0));
  const runner = runnerOf(vm);
  if (runner === null) {
    if (stateOf(vm) !== 'suspended') throw notRunning(vm.name);
    deleteSnapshot(vm);
    return 0;
  }
  sendSignal(runner, 'SIGINT');
  const deadline = Date.now() + Number(optionValue(call, '--timeout') ?? 30) * 1000;
  while (isAlive(runner) && Date.now() < deadline) await delay(POLL_MS);
  if (!isAlive(runner)) return 0;
  sendSignal(runner, 'SIGKILL');
  const killed = Date.now() + KILL_MS;
  while (isAlive(runner) && Date.now() < killed) await delay(POLL_MS);
  return 0;
}

export async function suspend(call: Call): Promise<number> {
  const vm = requireVm(call.home, argumentAt(call, 0));
  const runner = runnerOf(vm);
  if (runner === null) throw notRunning(vm.name);
  sendSignal(runner, 'SIGUSR1');
  return 0;
}

/** One after the other; what comes after the first that fails stays. */
export async function remove(call: Call): Promise<number> {
  for (const name of call.parsed.arguments) {
    if (isRemote(name)) {
      const image = findImage(call.home, parseReference(name));
      if (image === null) throw new Failure(`the specified VM "${name}" does not exist`, 2);
      rmSync(image.folder, { recursive: true, force: true });
      continue;
    }
    const vm = requireVm(call.home, name);
    if (runnerOf(vm) !== null) throw new Failure(`VM "${name}" is running`);
    if (existsSync(vm.folder)) rmSync(vm.folder, { recursive: true, force: true });
  }
  return 0;
}
