/** A world whose `container` is the emulator, with an image that is this host's own system. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listContainers } from '../../emulators/container/containers.ts';
import {
  EMULATOR_BIN,
  endEmulator,
  registerImage,
  setEmulator,
} from '../../emulators/container/emulation.ts';
import { homeOf } from '../../emulators/container/home.ts';
import type { Fault, Settings } from '../../emulators/container/settings.ts';
import { guestsOf } from '../background.ts';
import { until } from '../lifecycle/conditions.ts';
import { processes } from '../lifecycle/remains.ts';
import { createWorld, type RunOutput, type StartOptions, type World } from '../sand.ts';

export const APPLE = ['--backend', 'apple-container'] as const;
export const USUAL_IMAGE = 'docker.io/library/debian:stable-slim';
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** The emulator's calls are processes of their own, and there are a dozen to a run. */
export const APPLE_MS = 120_000;
/** Of what ends by itself once a run has ended. */
const ENDING_MS = 10_000;

/** Only root can make its guests; elsewhere these tests are skipped by name. */
export const CAN_EMULATE = process.platform === 'linux' && process.getuid?.() === 0;

export interface AppleWorld extends World {
  readonly home: string;
  /** Says what the tool is like from here on. */
  be(settings: Partial<Settings>): void;
  /** As `be`, with nothing but these faults. */
  show(...faults: readonly Fault[]): void;
  /** `sand run` on this backend, offline where no policy is named. */
  run(flags: readonly string[], command: readonly string[], options?: StartOptions): Promise<RunOutput>;
  /** As `run`, left to itself. */
  startRun(flags: readonly string[], command: readonly string[]): ReturnType<World['start']>;
  /** A guest in the background; throws where it does not come up. */
  detach(name: string, command?: readonly string[], flags?: readonly string[]): Promise<RunOutput>;
  /** `sh -c` in such a guest. */
  exec(guest: string, script: string, options?: StartOptions): Promise<RunOutput>;
  containers(): readonly string[];
  /** Rejects where anything of a guest is still there after a while. */
  nothingRemains(): Promise<void>;
  /** Removes every guest, and ends the emulator itself. */
  end(): Promise<void>;
}

export function createAppleWorld(): AppleWorld {
  const world = createWorld();
  const home = world.environment.HOME ?? '';
  const environment = { ...world.environment, SAND_TOOL_PATH: `${EMULATOR_BIN}:${SYSTEM_PATH}` };
  setEmulator(home, {});
  registerImage(home, USUAL_IMAGE, { root: '/', config: { Env: [`PATH=${SYSTEM_PATH}`], Cmd: ['sh'] } });
  const withTools = (options: StartOptions = {}): StartOptions => ({
    ...options,
    environment: { ...environment, ...options.environment },
  });
  const start: World['start'] = (args, options) => world.start(args, withTools(options));
  const sand: World['sand'] = (args, options) =>
    world.sand(args, { deadlineMs: APPLE_MS, ...withTools(options) });
  const containers = () => listContainers(homeOf(home)).map(({ id }) => id);
  return {
    ...world,
    home,
    environment,
    start,
    sand,
    be: (settings) => setEmulator(home, settings),
    show: (...faults) => setEmulator(home, { faults }),
    run: (flags, command, options) => sand(runWords(flags, command), options),
    startRun: (flags, command) => start(runWords(flags, command)),
    async detach(name, command = [], flags = []) {
      const output = await sand(runWords(['-d', '--name', name, ...flags], command));
      if (output.code !== 0) throw new Error(`${name} did not come up (${output.code}): ${output.stderr}`);
      return output;
    },
    exec: (guest, script, options) => sand(['exec', guest, '--', 'sh', '-c', script], options),
    containers,
    async nothingRemains() {
      let last: readonly string[] = [];
      const look = () => {
        last = [...containers().map((id) => `container ${id}`), ...remainsBelow(world.root)];
        return last.length === 0;
      };
      await until('nothing to remain', look, ENDING_MS).catch(() => {
        throw new Error(`still there after ${ENDING_MS} ms:\n${last.join('\n')}`);
      });
    },
    async end() {
      setEmulator(home, {});
      const names = (await guestsOf({ ...world, sand })).map(({ name }) => name);
      if (names.length > 0) await sand(['rm', '--force', ...names]);
      await endEmulator(home);
      world.remove();
    },
  };
}

function runWords(flags: readonly string[], command: readonly string[]): readonly string[] {
  const policy = flags.includes('--policy') ? [] : ['--policy', 'offline'];
  const behind = command.length === 0 ? [] : ['--', ...command];
  return ['run', ...APPLE, ...policy, ...flags, ...behind];
}

/** Processes by the name of a run of this world in their command line, the folders of guests, and mounts. */
function remainsBelow(root: string): readonly string[] {
  const runs = join(root, 'state/sand/runs');
  const ids = existsSync(runs) ? readdirSync(runs) : [];
  const folders = ids.map((id) => join(runs, id, 'guest')).filter((folder) => existsSync(folder));
  const left = processes().filter(
    ({ commandLine }) => commandLine.includes(root) || ids.some((id) => commandLine.includes(`sand-${id}`)),
  );
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(root));
  return [
    ...folders,
    ...left.map(({ pid, commandLine }) => `process ${pid} ${commandLine.slice(0, 120)}`),
    ...mounts.map((line) => `mount ${line}`),
  ];
}
