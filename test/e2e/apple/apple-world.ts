/** A world whose `container` is the emulator, with an image that is this host's own system. */
import {
  EMULATOR_BIN,
  endEmulator,
  registerImage,
  setEmulator,
} from '../../emulators/container/emulation.ts';
import type { Settings } from '../../emulators/container/settings.ts';
import { createWorld, type RunOutput, type StartOptions, type World } from '../sand.ts';

export const APPLE = ['--backend', 'apple-container'] as const;
export const USUAL_IMAGE = 'docker.io/library/debian:stable-slim';
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Only root can make its guests; elsewhere these tests are skipped by name. */
export const CAN_EMULATE = process.platform === 'linux' && process.getuid?.() === 0;

export interface AppleWorld extends World {
  /** Says what the tool is like from here on. */
  be(settings: Partial<Settings>): void;
  /** Runs the emulator itself. */
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
  return {
    ...world,
    environment,
    start: (args, options) => world.start(args, withTools(options)),
    sand: (args, options): Promise<RunOutput> => world.sand(args, withTools(options)),
    be: (settings) => setEmulator(home, settings),
    async end() {
      await endEmulator(home);
      world.remove();
    },
  };
}
