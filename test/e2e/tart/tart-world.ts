/** A world whose `tart` is the emulator, with an image of macOS that is this host's own system. */
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

export interface TartWorld extends World {
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
  return {
    ...world,
    environment,
    start: (args, options) => world.start(args, withTools(options)),
    sand: (args, options): Promise<RunOutput> => world.sand(args, withTools(options)),
    be: (settings) => setTart(home, settings),
    machine: (name, image) => registerTartVm(home, name, image),
    image: (reference, image) => registerTartImage(home, reference, image),
    async end() {
      await endTart(home);
      world.remove();
    },
  };
}
