/**
 * The program that tries attacks from inside a guest, by the guest's system: which files it is, how it is called, and how its
 * output reads.
 */
import { existsSync, readFileSync } from 'node:fs';
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

export interface ProgramFile {
  readonly name: string;
  readonly content: Uint8Array | string;
  readonly mode: number;
}

export interface GuestProgram {
  /** What the guest is shown, read-only, at `place`. Raises `tool-missing` where this sand was built without it. */
  files(attempts: readonly NamedAttempt[]): readonly ProgramFile[];
  command(place: string): readonly string[];
  /** Null where it does not read. */
  parse(output: string): NamedObservations | null;
}

const NAMES = { relay: 'sand-relay', script: 'probe.pl', attempts: 'attempts' } as const;
/** The script's own bound. */
const SCRIPT_ATTEMPTS = 240;

/** Guests of Linux get the relay's own program, whatever their link: it is static, and needs nothing of an image. */
const RELAY: GuestProgram = {
  files(attempts) {
    const architecture: RelayArchitecture = process.arch === 'x64' ? 'x64' : 'arm64';
    return [
      { name: NAMES.relay, content: readRelayFile(architecture).bytes, mode: 0o755 },
      attemptsFile(attempts, RELAY_LIMITS.attempts),
    ];
  },
  command: (place) => [`${place}/${NAMES.relay}`, ...probeFileArguments(`${place}/${NAMES.attempts}`)],
  parse: parseNamedProbe,
};

/**
 * Where guests run macOS, or Linux on the same kind of machine: a script for the Perl that both have, since nothing can be built
 * here for the one, and nothing may be brought along from elsewhere.
 */
const SCRIPT: GuestProgram = {
  files: (attempts) => [
    { name: NAMES.script, content: readScript(), mode: 0o644 },
    attemptsFile(attempts, SCRIPT_ATTEMPTS),
  ],
  command: (place) => ['/usr/bin/perl', `${place}/${NAMES.script}`, `${place}/${NAMES.attempts}`],
  parse: parseNamedProbe,
};

const PROGRAMS: Readonly<Record<Capabilities['guestSystem'], GuestProgram>> = { linux: RELAY, macos: SCRIPT };

export function guestProgram(system: Capabilities['guestSystem']): GuestProgram {
  return PROGRAMS[system];
}

function attemptsFile(attempts: readonly NamedAttempt[], most: number): ProgramFile {
  if (attempts.length > most)
    throw new SandError(
      'internal',
      `${attempts.length} attacks are too many`,
      'report this as a fault of sand',
    );
  return { name: NAMES.attempts, content: formatNamedAttempts(attempts), mode: 0o644 };
}

/** Beside the bundled command in the package; where the sources are, in a checkout. */
const SCRIPT_PLACES: readonly string[] = [
  new URL('./verify/probe.pl', import.meta.url).pathname,
  new URL('./guest/probe.pl', import.meta.url).pathname,
];

function readScript(): string {
  const path = SCRIPT_PLACES.find((place) => existsSync(place));
  if (path !== undefined) return readFileSync(path, 'utf8');
  throw new SandError(
    'tool-missing',
    'the program that sand verify shows to guests is not there',
    'install the package again',
  );
}
