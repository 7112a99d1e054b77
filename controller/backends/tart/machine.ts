/**
 * The process that is a machine of Tart's: `tart run`, in a session of its own, with sand's own softnet first in its PATH where
 * the guest is to have that, and everything that it prints in a file of the run. What its end means is for whoever started it.
 */
import { appendFileSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SandError } from '../../errors.ts';
import { SOFTNET_PROGRAM, softnetWrapper } from '../../links/ethernet/softnet/wrapper.ts';
import { type GuestProcess, startGuestProcess } from '../../process/runner.ts';
import { type MachineRun, planRun } from './argv.ts';
import { isLockedKeychain, isMachineLimit, isSoftnetPowerless, parseComplaint } from './parse.ts';
import { powerless } from './stock-softnet.ts';
import { TOOL, tartEnvironment } from './tool.ts';

const LIMITS = {
  /** Of what the tool prints while a guest runs: some lines. */
  logBytes: 1024 * 1024,
  tailCharacters: 4096,
} as const;

export interface MachineProcess {
  /** Resolves when the machine is gone. Never rejects. */
  readonly ended: Promise<void>;
  hasEnded(): boolean;
  /** Why it is gone, or does not come up, by what the tool printed. */
  failure(): SandError;
  /** The address of its screen, where it is shown. */
  screen(): string | null;
  kill(): void;
}

/**
 * Becomes the tool. Where sand's softnet is not at the end of its cable nobody else would miss a supervisor that was killed: then
 * descriptor 3 ends, and SIGTERM, for which the tool has no handler, takes machine and Softnet at once.
 */
const TIED = '{ cat; kill -TERM $$; } <&3 >/dev/null 2>&1 & exec 3<&-; exec "$0" "$@"';

/**
 * `folder` is the guest's own; `cableSocket` null: whatever softnet the host has. Never a terminal as its output: with one the
 * tool would make the softnet that it finds SUID root. Raises `tool-missing`.
 */
export async function startMachine(
  run: MachineRun,
  folder: string,
  cableSocket: string | null,
): Promise<MachineProcess> {
  const environment = tartEnvironment();
  const own = cableSocket === null ? [] : [placeSoftnet(folder, cableSocket)];
  const words = planRun(run);
  const [file, args] =
    cableSocket === null ? (['/bin/sh', ['-c', TIED, TOOL, ...words]] as const) : ([TOOL, words] as const);
  const process = await startGuestProcess(file, args, {
    // Where a screen is asked for, its address is printed and no viewer is opened.
    environment: { ...environment, PATH: [...own, environment.PATH ?? ''].join(':'), CI: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    descriptors: cableSocket === null ? ['input'] : [],
    sharesSession: false,
    takesGroup: true,
  });
  // Beside the guest's own folder, which goes with the guest.
  const said = keepOutput(process, join(folder, '..', 'tart.log'));
  let end: { readonly exitCode: number | null } | null = null;
  const ended = process.ended.then((how) => {
    end = how;
  });
  return {
    ended,
    hasEnded: () => end !== null,
    failure: () => failureOf(said(), end?.exitCode ?? null),
    screen: () => /vnc:\/\/[^\s.]+(?:\.[^\s.]+)*/.exec(said())?.[0] ?? null,
    kill: () => process.kill('SIGKILL'),
  };
}

/** Resolves at the end or at the time limit, whichever is first. */
export async function within(ended: Promise<void>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([ended, late]);
  clearTimeout(timer);
}

function placeSoftnet(folder: string, socket: string): string {
  const programs = join(folder, 'libexec');
  mkdirSync(programs, { mode: 0o700 });
  const path = join(programs, 'softnet');
  writeFileSync(path, softnetWrapper({ node: process.execPath, program: SOFTNET_PROGRAM, socket }), {
    mode: 0o700,
  });
  chmodSync(path, 0o700);
  return programs;
}

/** Both outputs into one file, up to a bound; gives the last of it. */
function keepOutput(process: GuestProcess, path: string): () => string {
  let tail = '';
  let bytes = 0;
  // Also where it says nothing there is a file that says so.
  writeFileSync(path, '', { mode: 0o600 });
  for (const stream of process.outputs.values()) {
    stream.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-LIMITS.tailCharacters);
      if (bytes + chunk.length > LIMITS.logBytes) return;
      bytes += chunk.length;
      try {
        appendFileSync(path, chunk, { mode: 0o600 });
      } catch {
        // What it says is in memory as well; a full disk does not end a guest.
      }
    });
    stream.on('error', () => {});
  }
  return () => tail;
}

function failureOf(said: string, exitCode: number | null): SandError {
  const complaint = parseComplaint(said);
  if (isMachineLimit(said)) {
    return new SandError(
      'backend-unavailable',
      'macOS lets two guests of macOS run at a time, and two run',
      'stop one of them: `tart list` shows them, `sand ls` those of sand',
      { details: { complaint } },
    );
  }
  if (isLockedKeychain(said)) {
    return new SandError(
      'backend-unavailable',
      'macOS starts no guest while its login keychain is locked',
      'log in at the Mac\u2019s own screen once, or unlock it: security unlock-keychain login.keychain',
      { details: { complaint } },
    );
  }
  if (isSoftnetPowerless(said)) return powerless();
  const why = complaint === '' ? `exit code ${exitCode ?? 'none'}` : complaint;
  return new SandError(
    'guest-failed',
    `the guest\u2019s machine ended: ${why}`,
    'run `sand doctor --backend tart`, and read what tart printed: tart.log in the folder of the run',
    { details: { exitCode, complaint } },
  );
}
