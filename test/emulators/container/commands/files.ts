/** `copy` and `stats`: what is read of a guest that runs, from outside. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { argumentAt, type Call, hasFlag, optionValue, print } from '../call.ts';
import {
  type Container,
  listContainers,
  type RunState,
  requireContainer,
  requireRunning,
} from '../containers.ts';
import { Failure } from '../failure.ts';
import { runTool } from '../host-tool.ts';
import { compactJson, table } from '../output.ts';
import { runtimeOf } from '../runtimes.ts';

/** Between the two readings that the tool takes. */
const SAMPLE_MS = 2000;
/** Without an end, `stats` goes on for as long as a test may watch it. */
const MAX_SAMPLES = 1800;
const TICK_USEC = 10_000;
const PAGE = 4096;

export async function copy(call: Call): Promise<number> {
  const [from, to] = [sideOf(call, argumentAt(call, 0)), sideOf(call, argumentAt(call, 1))];
  if ((from.root === null) === (to.root === null)) {
    throw new Failure('one of source or destination must be a container path');
  }
  const source = join(from.root ?? '', from.path);
  if (!existsSync(source)) throw new Failure(`path '${from.path}' does not exist`);
  const target = join(to.root ?? '', to.path);
  runTool('cp', '-R', '--preserve=mode,links,timestamps', '--', source, target);
  const isFolder = statSync(target).isDirectory() && basename(source) !== basename(target);
  print(isFolder ? join(to.path, basename(source)) : to.path);
  return 0;
}

interface Side {
  /** Null for the host. */
  readonly root: string | null;
  readonly path: string;
}

function sideOf(call: Call, text: string): Side {
  const at = text.indexOf(':');
  if (at < 0) return { root: null, path: resolve(text) };
  const path = text.slice(at + 1);
  if (!path.startsWith('/') || path.includes(':')) throw new Failure(`invalid path: ${text}`);
  return { root: runtimeOf(call.settings).rootOf(requireRunning(call.home, text.slice(0, at))), path };
}

export async function stats(call: Call): Promise<number> {
  const isJson = optionValue(call, '--format') === 'json';
  for (let sample = 0; sample < MAX_SAMPLES; sample += 1) {
    await delay(SAMPLE_MS);
    const rows = watched(call).map((container) => ({
      id: container.id,
      ...usageOf(container, container.running),
    }));
    if (isJson) print(compactJson(rows));
    else
      print(
        table([
          ['Container ID', 'Memory Usage', 'Pids'],
          ...rows.map((row) => [row.id, String(row.memoryUsageBytes), String(row.numProcesses)]),
        ]),
      );
    if (isJson || hasFlag(call, '--no-stream')) return 0;
  }
  return 0;
}

function watched(call: Call): readonly (Container & { readonly running: RunState })[] {
  const named = call.parsed.arguments.map((id) => requireContainer(call.home, id));
  const containers = named.length > 0 ? named : listContainers(call.home);
  return containers.flatMap((container) =>
    container.running === null ? [] : [{ ...container, running: container.running }],
  );
}

/** Of the processes in the guest's namespace; it has no card, so that nothing is counted there. */
function usageOf({ configuration }: Container, { init }: RunState) {
  const space = readlinkSync(`/proc/${init.pid}/ns/pid`);
  const own = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isIn(name, space));
  const fields = own.map((pid) => statFields(pid));
  return {
    memoryUsageBytes: fields.reduce((sum, stat) => sum + Number(stat[21] ?? 0) * PAGE, 0),
    memoryLimitBytes: configuration.resources.memoryInBytes,
    cpuUsageUsec: fields.reduce(
      (sum, stat) => sum + (Number(stat[11] ?? 0) + Number(stat[12] ?? 0)) * TICK_USEC,
      0,
    ),
    ...{ networkRxBytes: 0, networkTxBytes: 0, blockReadBytes: 0, blockWriteBytes: 0 },
    numProcesses: own.length,
  };
}

function isIn(pid: string, space: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`) === space;
  } catch {
    return false;
  }
}

function statFields(pid: string): readonly string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}
