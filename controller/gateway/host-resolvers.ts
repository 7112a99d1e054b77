/**
 * Which resolvers sand asks where no flag names any: on Linux those of resolv.conf, on macOS those of `scutil --dns`, kept for some
 * seconds and read again beside the questions. What they mean is read in `dns/`.
 */
import type { PlainUpstream } from '../../dns/context.ts';
import { type MacResolvers, parseMacResolvers, serversFor } from '../../dns/mac-resolvers.ts';
import { createSystemResolvers } from '../../dns/system-resolvers.ts';
import { runBriefly } from '../process/brief-tool.ts';
import { runTool } from '../process/runner.ts';

/** A laptop that has changed its network is asked anew by then; asking costs a program's start. */
const RESOLVERS_AGE_MS = 5_000;
const SCUTIL_MS = 2_000;
const SCUTIL = '/usr/sbin/scutil';
const SCUTIL_ARGUMENTS = ['--dns'];

/** For a name: on macOS a domain can have resolvers of its own. Without one, those for everything else. */
export type HostResolvers = (name?: string) => readonly PlainUpstream[];

export function createHostResolvers(platform: NodeJS.Platform = process.platform): HostResolvers {
  return platform === 'darwin' ? createMacResolvers() : createSystemResolvers();
}

export interface ScutilWorld {
  /** Null where it could not be run. */
  readonly readAtOnce: () => string | null;
  /** Never rejects. */
  readonly read: () => Promise<string | null>;
  /** Milliseconds that do not run backwards. */
  readonly now: () => number;
}

/** Waits for the first answer alone; a question that comes later is asked of those that are known, and starts the next reading. */
export function createMacResolvers(world: ScutilWorld = MACHINE): HostResolvers {
  let known: MacResolvers | null = null;
  let readAt = Number.NEGATIVE_INFINITY;
  let isReading = false;
  const take = (text: string | null) => {
    // What could not be read changes nothing: those known so far still hold.
    if (text !== null) known = parseMacResolvers(text);
    readAt = world.now();
  };
  return (name) => {
    if (known === null && !isReading) take(world.readAtOnce());
    else if (!isReading && world.now() - readAt > RESOLVERS_AGE_MS) {
      isReading = true;
      void world.read().then((text) => {
        isReading = false;
        take(text);
      });
    }
    return known === null ? [] : serversFor(known, name);
  };
}

export function scutilAtOnce(): string | null {
  const { exitCode, stdout } = runBriefly(SCUTIL, SCUTIL_ARGUMENTS);
  return exitCode === 0 ? stdout : null;
}

const MACHINE: ScutilWorld = {
  readAtOnce: scutilAtOnce,
  async read() {
    try {
      const { exitCode, stdout } = await runTool(SCUTIL, SCUTIL_ARGUMENTS, { timeoutMs: SCUTIL_MS });
      return exitCode === 0 ? stdout : null;
    } catch {
      return null;
    }
  },
  now: () => performance.now(),
};
