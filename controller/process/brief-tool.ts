/**
 * A small tool of the host's own that is asked one thing and answers at once, where the answer is needed in the middle of
 * what cannot wait: macOS tells by programs what Linux tells in /proc. What an answer means is the asker's.
 */
import { spawnSync } from 'node:child_process';
import { toolEnvironment } from './tool-path.ts';

/** They answer within milliseconds; this process stands still meanwhile. */
const BRIEF_MS = 2_000;
/** A page or two of text. */
const BRIEF_BYTES = 256 * 1024;

export interface BriefAnswer {
  /** Null: it could not be run, or did not end by itself in time; then `stdout` says nothing. */
  readonly exitCode: number | null;
  readonly stdout: string;
}

/** `file` is absolute, so that nothing is looked for. */
export type BriefTool = (file: string, args: readonly string[]) => BriefAnswer;

/** Never raises. In UTC, so that a time that a tool prints is the same one wherever the computer has travelled. */
export function runBriefly(file: string, args: readonly string[]): BriefAnswer {
  const { error, status, stdout } = spawnSync(file, args, {
    env: { ...toolEnvironment(process.env), TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: BRIEF_MS,
    killSignal: 'SIGKILL',
    maxBuffer: BRIEF_BYTES,
    encoding: 'utf8',
  });
  if (error !== undefined || status === null) return { exitCode: null, stdout: '' };
  return { exitCode: status, stdout };
}
