/**
 * What makes a guest of the linux backend one with a machine of its own: planned from what the guest sees, started in its
 * sandbox, probed from inside. What is booted and how are decided in the files beside this one.
 */

import { SandError } from '../../../errors.ts';
import type { ProbePlan } from '../../../links/probing.ts';
import { NO_RESOURCES } from '../../../resources/flags.ts';
import type { GatewayPort, GuestSpec } from '../../backend.ts';
import { requirePassed } from '../../probe-failure.ts';
import type { GuestInit } from '../init.ts';
import type { GuestIdentity, Mount } from '../mounts.ts';
import type { Architecture } from '../seccomp.ts';
import {
  type Machine,
  type MachinePlan,
  type MachineProbeExpectations,
  planMachine,
  type SandboxRunner,
  startMachine,
} from './start.ts';

/** Of a limit on the guest's memory, what QEMU and virtiofsd need beside the machine's. */
const OWN_MEMORY_MIB = 192;
/** Below it no kernel with what it boots from comes up. */
const LEAST_MEMORY_MIB = 192;

export interface VmGuest {
  readonly identity: GuestIdentity;
  readonly environment: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
}

/** Null for a guest without a machine. Raises `share-unavailable` and `backend-unavailable` for what cannot be had with one. */
export async function planVm(
  spec: Pick<GuestSpec, 'isolation' | 'shares' | 'image' | 'resources'>,
  architecture: Architecture,
  publishedPorts: readonly number[],
  { identity, environment, mounts }: VmGuest,
): Promise<MachinePlan | null> {
  if (spec.isolation !== 'vm') return null;
  if (spec.shares.includes('ssh-agent')) {
    throw new SandError(
      'share-unavailable',
      'a VM guest cannot have ssh-agent: a socket of the host does not reach into its machine',
      'leave out `--share ssh-agent`, or `--isolation vm`',
    );
  }
  if (spec.image !== undefined) {
    throw new SandError(
      'backend-unavailable',
      'a guest of an image cannot have a machine of its own yet',
      'leave out `--image`, or `--isolation vm`',
    );
  }
  const { cpus, memoryMiB } = spec.resources ?? NO_RESOURCES;
  return planMachine({
    architecture,
    identity,
    environment,
    mounts,
    publishedPorts,
    memoryMiB: memoryMiB === null ? null : Math.max(memoryMiB - OWN_MEMORY_MIB, LEAST_MEMORY_MIB),
    processors: cpus === null ? null : Math.ceil(cpus),
  });
}

/** A machine that does not come up takes the sandbox along. */
export async function startVm(
  plan: MachinePlan | null,
  run: SandboxRunner,
  init: GuestInit,
  signal: AbortSignal,
): Promise<Machine | null> {
  if (plan === null) return null;
  try {
    return await startMachine(plan, run, signal);
  } catch (error) {
    await init.end().catch(() => {});
    throw error;
  }
}

/** Raises `probe-failed`. */
export async function probeVm(
  machine: Machine | null,
  gateway: GatewayPort,
  probes: ProbePlan,
  isSynthetic: MachineProbeExpectations['isSynthetic'],
): Promise<void> {
  if (machine === null) return;
  const results = await machine.probe(probes, { greeting: gateway.probe.greeting, isSynthetic });
  for (const result of results) gateway.record(result);
  requirePassed(results);
}

/** `console`: the end of what its console said. */
export function machineLost(console: string): SandError {
  return new SandError(
    'guest-failed',
    'the guest\u2019s machine ended while it was needed',
    'look for what ends processes on this machine, such as a memory limit; a guest can also end its own',
    { details: { console } },
  );
}
