/**
 * What holds a gVisor guest on the host: what it is started with, as facts of this machine have it, and what the
 * host's kernel shows of its processes. Starting and ending it is `init.ts`'s, as for every guest.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SandError } from '../../../errors.ts';
import { runTool } from '../../../process/runner.ts';
import { toolPath } from '../../../process/tool-path.ts';
import type { Share } from '../../backend.ts';
import type { Launch } from '../argv.ts';
import { type Mount, SYSTEM_FOLDERS } from '../mounts.ts';
import { parseMountInfo } from '../report.ts';
import { planConfig } from './bundle.ts';
import { type HolderSpec, planAskToEnd, planHolder, planListing } from './launch.ts';
import { countProcesses, type HeldProcess, type OutsideReport, parseStatus } from './report.ts';
import { planBundleMounts, planOuterMounts } from './view.ts';

/** Raises `share-unavailable`: gVisor opens no socket of the host, and a guest is not started with less than it was promised. */
export function refuseSockets(shares: readonly Share[]): void {
  if (!shares.includes('ssh-agent')) return;
  throw new SandError(
    'share-unavailable',
    '--share ssh-agent: a guest in gVisor reaches no socket of the host',
    'leave out --share ssh-agent, or --isolation gvisor',
  );
}

/** Raises `tool-missing`. */
export function planGvisorInit({
  mounts,
  ...place
}: Omit<HolderSpec, 'mounts'> & { readonly mounts: readonly Mount[] }): Launch {
  const outer = planOuterMounts({
    mounts,
    system: SYSTEM_FOLDERS.flatMap(systemEntry),
    runsc: findRunsc(),
    config: planConfig(planBundleMounts(mounts)),
  });
  return planHolder({ ...place, mounts: outer });
}

/** Where `runsc` is looked for: as for every tool, never in the caller's PATH. */
function findRunsc(): string {
  for (const folder of toolPath(process.env).split(delimiter)) {
    try {
      const path = realpathSync(join(folder, 'runsc'));
      if (lstatSync(path).isFile()) return path;
    } catch {
      // Not in this one.
    }
  }
  throw new SandError(
    'tool-missing',
    '--isolation gvisor needs runsc, which is not installed',
    'install it (`apt-get install runsc`, or as gvisor.dev tells), or leave --isolation out',
    { details: { tool: 'runsc' } },
  );
}

function systemEntry(path: string): readonly { readonly path: string; readonly link: string | null }[] {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return [{ path, link: readlinkSync(path) }];
    return stat.isDirectory() ? [{ path, link: null }] : [];
  } catch {
    return [];
  }
}

/**
 * What the host's kernel shows of the guest's processes. Fail closed: raises `probe-failed` where one of them
 * cannot be looked at.
 */
export function readOutside(initPid: number): OutsideReport {
  try {
    const held = childrenOf(initPid).flatMap(childrenOf);
    return {
      sandbox: readHeld(held, 'runsc-sandbox'),
      gofer: readHeld(held, 'runsc-gofer'),
      mounts: readFileSync(`/proc/${initPid}/mountinfo`, 'utf8').trim().split('\n').map(parseMountInfo),
    };
  } catch (error) {
    throw new SandError(
      'probe-failed',
      `what holds the guest cannot be looked at: ${error instanceof Error ? error.message : error}`,
      'look for what ends processes on this machine, such as a memory limit',
      { cause: error },
    );
  }
}

/** proc(5), children: those of one thread, and any of runsc's may have started them. */
function childrenOf(pid: number): readonly number[] {
  const threads = unlessGone(() => readdirSync(`/proc/${pid}/task`)) ?? [];
  return threads.flatMap((thread) => {
    const names = unlessGone(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')) ?? '';
    return names
      .trim()
      .split(' ')
      .filter((name) => name !== '')
      .map(Number);
  });
}

/** Null of what has ended since it was listed: runsc starts threads and short-lived programs all the time. */
function unlessGone<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

function readHeld(pids: readonly number[], name: string): HeldProcess {
  const commandLineOf = (pid: number) => unlessGone(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '';
  // Fail closed: what holds the guest must be there, whatever else has come and gone.
  const pid = pids.find((each) => commandLineOf(each).startsWith(`${name}\0`));
  if (pid === undefined) throw new Error(`there is no ${name}`);
  return {
    status: parseStatus(readFileSync(`/proc/${pid}/status`, 'utf8').trim().split('\n')),
    namespace: readlinkSync(`/proc/${pid}/ns/net`),
  };
}

/** `runsc` answers within tens of milliseconds; under heavy load within seconds. */
const ASK_TIMEOUT_MS = 10_000;
const LOOK_AGAIN_MS = 200;
/** The guest's first process and the one that it waits for. */
const OWN_PROCESSES = 2;

/** SIGTERM to all that runs in the guest, and time to end; what does not is for the end of the guest. */
export async function askGvisorToEnd(
  place: { readonly holderPid: number; readonly initPid: number },
  graceMs: number,
): Promise<void> {
  const run = async ([file = '', ...args]: readonly string[]) =>
    (await runTool(file, args, { timeoutMs: ASK_TIMEOUT_MS })).stdout;
  const deadline = performance.now() + graceMs;
  await run(planAskToEnd(place));
  while (performance.now() < deadline && countProcesses(await run(planListing(place))) > OWN_PROCESSES)
    await sleep(LOOK_AGAIN_MS);
}
