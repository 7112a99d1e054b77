/** A world whose `tart` is the emulator, with an image of macOS that is this host's own system. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  endTart,
  registerTartImage,
  registerTartVm,
  setTart,
  TART_BIN,
  type TartImage,
} from '../../emulators/tart/emulation.ts';
import type { Settings } from '../../emulators/tart/settings.ts';
import { createWorld, type RunOutput, type StartOptions, type World } from '../sand.ts';

export const TART = ['--backend', 'tart'] as const;
export const USUAL_IMAGE = 'ghcr.io/cirruslabs/macos-tahoe-base:latest';
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Only root can make its guests; elsewhere these tests are skipped by name. */
export const CAN_EMULATE = process.platform === 'linux' && process.getuid?.() === 0;

/** The emulator's calls are processes of their own, and there are a dozen to a run. */
export const TART_MS = 240_000;

export interface TartWorld extends World {
  readonly home: string;
  /** A guest that stays. Rejects where it does not come up. */
  detach(name: string, flags?: readonly string[], command?: readonly string[]): Promise<RunOutput>;
  /** A script in a guest that stays. */
  exec(guest: string, script: string): Promise<RunOutput>;
  /** The names of those that the tool has. */
  machines(): readonly string[];
  /** Says what the tool is like from here on. */
  be(settings: Partial<Settings>): void;
  /** A machine that the tool has under a name of its own. */
  machine(name: string, image: TartImage): void;
  /** One that a registry has. */
  image(reference: string, image: TartImage): void;
  end(): Promise<void>;
}

export function createTartWorld(): TartWorld {
  const world = createWorld();
  const home = world.environment.HOME ?? '';
  const environment = { ...world.environment, SAND_TOOL_PATH: `${TART_BIN}:${SYSTEM_PATH}` };
  setTart(home, {});
  registerTartImage(home, USUAL_IMAGE, { os: 'darwin' });
  const withTools = (options: StartOptions = {}): StartOptions => ({
    ...options,
    environment: { ...environment, ...options.environment },
  });
  const sand: World['sand'] = (args, options) =>
    world.sand(args, { deadlineMs: TART_MS, ...withTools(options) });
  const machines = join(home, '.tart/vms');
  return {
    ...world,
    home,
    environment,
    start: (args, options) => world.start(args, withTools(options)),
    sand,
    async detach(name, flags = [], command = []) {
      const policy = flags.includes('--policy') ? [] : ['--policy', 'offline'];
      const behind = command.length === 0 ? [] : ['--', ...command];
      const output = await sand(['run', ...TART, '-d', '--name', name, ...policy, ...flags, ...behind]);
      if (output.code !== 0) throw new Error(`${name} did not come up (${output.code}): ${output.stderr}`);
      return output;
    },
    exec: (guest, script) => sand(['exec', guest, '--', 'sh', '-c', script]),
    machines: () => (existsSync(machines) ? readdirSync(machines).sort() : []),
    be: (settings) => setTart(home, settings),
    machine: (name, image) => registerTartVm(home, name, image),
    image: (reference, image) => registerTartImage(home, reference, image),
    async end() {
      await endTart(home);
      world.remove();
    },
  };
}
