/**
 * The program that tries attacks from inside a guest, by the guest's system: which files it is, how it is called, and how its
 * output reads. A system without one is refused.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Capabilities } from '../backends/backend.ts';
import { SandError } from '../errors.ts';
import {
  formatNamedAttempts,
  type NamedAttempt,
  type NamedObservations,
  parseNamedProbe,
  probeFileArguments,
} from '../links/relay/named-attempts.ts';
import { type RelayArchitecture, readRelayFile } from '../links/relay/relay-file.ts';
import { RELAY_LIMITS } from '../links/relay/relay-program.ts';

export interface GuestProgram {
  /** Writes it and what it is to try into a folder that the guest will see at `place`. */
  stage(folder: string, attempts: readonly NamedAttempt[]): void;
  command(place: string): readonly string[];
  /** Null where it does not read. */
  parse(output: string): NamedObservations | null;
}

const NAMES = { program: 'sand-relay', attempts: 'attempts' } as const;

/** Linux guests get the relay's own program, whatever their link: it is static, and needs nothing of an image. */
const LINUX: GuestProgram = {
  stage(folder, attempts) {
    if (attempts.length > RELAY_LIMITS.attempts)
      throw new SandError(
        'internal',
        `${attempts.length} attacks are too many`,
        'report this as a fault of sand',
      );
    const architecture: RelayArchitecture = process.arch === 'x64' ? 'x64' : 'arm64';
    writeFileSync(join(folder, NAMES.program), readRelayFile(architecture).bytes, { mode: 0o755 });
    writeFileSync(join(folder, NAMES.attempts), formatNamedAttempts(attempts));
  },
  command: (place) => [`${place}/${NAMES.program}`, ...probeFileArguments(`${place}/${NAMES.attempts}`)],
  parse: parseNamedProbe,
};

const PROGRAMS: Readonly<Record<Capabilities['guestSystem'], GuestProgram | null>> = {
  linux: LINUX,
  macos: null,
};

/** Raises `usage` for a system that has none. */
export function guestProgram(system: Capabilities['guestSystem'], backend: string): GuestProgram {
  const program = PROGRAMS[system];
  if (program !== null) return program;
  throw new SandError(
    'usage',
    `sand verify --backend ${backend}: its guests run macOS, and sand verify has no program for them`,
    'run sand doctor, and read the start probes of a run: sand audit show',
  );
}
