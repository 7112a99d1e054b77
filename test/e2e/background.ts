/** Guests in the background for the end-to-end tests: their processes as the host sees them, and none left after a test. */
import { readdirSync, readlinkSync } from 'node:fs';
import { until } from './lifecycle/conditions.ts';
import { processes } from './lifecycle/remains.ts';
import type { RunOutput, World } from './sand.ts';

export interface Listed {
  readonly name: string;
  readonly run: string;
  readonly standing: string;
  readonly pid: number;
  readonly dnsPort: number;
  readonly guest: { readonly init: number; readonly planter: number; readonly holder: number };
  readonly end?: { readonly exitCode: number; readonly cause: string };
}

export async function guestsOf(world: World): Promise<readonly Listed[]> {
  const { stdout } = await world.sand(['ls', '--all', '--json']);
  return (JSON.parse(stdout) as { guests: readonly Listed[] }).guests;
}

export async function guestOf(world: World, name: string): Promise<Listed> {
  const guest = (await guestsOf(world)).find((one) => one.name === name);
  if (guest === undefined) throw new Error(`no guest ${name}`);
  return guest;
}

/** Starts one and expects that it comes up. */
export async function detach(
  world: World,
  name: string,
  command: readonly string[],
  flags: readonly string[] = [],
): Promise<RunOutput> {
  const behind = command.length === 0 ? [] : ['--', ...command];
  const output = await world.sand(['run', '-d', '--name', name, '--policy', 'offline', ...flags, ...behind]);
  if (output.code !== 0) throw new Error(`${name} did not come up (${output.code}): ${output.stderr}`);
  return output;
}

/** Everything of one guest that the kernel shows: supervisor, link and guest, by pid. */
export function processesOf({ pid, guest }: Listed): readonly number[] {
  const own = (kind: string, of: number) => {
    try {
      return readlinkSync(`/proc/${of}/ns/${kind}`);
    } catch {
      return null;
    }
  };
  const namespaces = [own('pid', guest.init), own('pid', guest.planter), own('net', guest.holder)];
  const isOwn = (other: number) =>
    ['pid', 'net'].some((kind) => {
      const namespace = own(kind, other);
      return namespace !== null && namespace !== own(kind, process.pid) && namespaces.includes(namespace);
    });
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return [pid, ...all.map(Number).filter((other) => other !== pid && isOwn(other))];
}

export function isThere(pid: number): boolean {
  return processes().some((other) => other.pid === pid);
}

export async function allGone(pids: readonly number[], deadlineMs?: number): Promise<void> {
  await until(
    'the end of the processes',
    () => !processes().some(({ pid }) => pids.includes(pid)),
    deadlineMs,
  );
}

/** Whatever is left of guests in this world. */
export async function endGuests(world: World): Promise<void> {
  const names = (await guestsOf(world)).map(({ name }) => name);
  if (names.length > 0) await world.sand(['rm', '--force', ...names]);
}
